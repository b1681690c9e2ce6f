/**
 * The timeline as bars in SVG, and as a table for those who do not see it. Outcomes differ by pattern and by word, not
 * by colour alone. Labels stand beside the drawing, which stretches: they do not. Pure.
 */
import { html, shown, type Html } from './html.ts';
import { EVENTS, ROWS_MAX, type Timeline } from './timeline.ts';
import { formatMinute } from './times.ts';

const HEIGHT = 100;
const BAR = 10;
const KINDS: Readonly<Record<string, string>> = {
  success: 'ok',
  denied: 'denied',
  failure: 'failure',
  [EVENTS]: 'ok',
};

/** Draws it; null: the rows have no time. */
export function drawTimeline(timeline: Timeline | null, zone: string): Html {
  if (timeline === null || timeline.rows === 0)
    return html`<p class="hint">There is nothing to draw.</p>`;
  const { unit, buckets, series, rows, isWhole } = timeline;
  const top = Math.max(1, ...buckets.map(({ counts }) => sum(counts)));
  const [first, last] = [buckets[0], buckets.at(-1)];
  const caption = `${isWhole ? '' : `The first ${count(ROWS_MAX)} rows of more: `}${count(rows)} ${rows === 1 ? 'row' : 'rows'} by ${unit}, ${zone}`;
  return html`<figure class="chart">
    <figcaption>${caption}${drawLegend(series)}</figcaption>
    <div class="plot">
      <span class="top-label">${count(top)}</span>
      <svg
        viewBox="0 0 ${buckets.length * BAR} ${HEIGHT}"
        preserveAspectRatio="none"
        role="img"
        aria-label="${caption}. The same as a table below."
      >
        ${PATTERNS}${buckets.map((bucket, index) => drawBar(bucket.counts, series, index, top))}
      </svg>
    </div>
    <div class="axis">
      <span>${label(first, unit, zone)}</span><span>${label(last, unit, zone)}</span>
    </div>
    <details>
      <summary>The same as a table</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Timeline as a table">
        <table>
          <thead>
            <tr>
              <th scope="col">
                ${unit === 'week' ? 'Week from' : unit === 'day' ? 'Day' : 'Hour from'}
              </th>
              ${series.map((name) => html`<th scope="col" class="number">${shown(name, 40)}</th>`)}
            </tr>
          </thead>
          <tbody>
            ${buckets
              .filter(({ counts }) => sum(counts) > 0)
              .map(
                (bucket) =>
                  html`<tr>
                    <th scope="row">${label(bucket, unit, zone)}</th>
                    ${bucket.counts.map((one) => html`<td class="number">${count(one)}</td>`)}
                  </tr>`,
              )}
          </tbody>
        </table>
      </div>
    </details>
  </figure>`;
}

/** When it could not be made. */
export function drawNoTimeline(reason: string): Html {
  return html`<p class="hint">There is no timeline: ${shown(reason, 1000)}.</p>`;
}

function drawBar(
  counts: readonly number[],
  series: readonly string[],
  index: number,
  top: number,
): Html {
  let bottom = HEIGHT;
  const parts = counts.map((one, at) => {
    if (one === 0) return '';
    const height = Math.max(1.5, (one / top) * (HEIGHT - 2));
    bottom -= height;
    return html`<rect
      class="bar ${kindOf(series[at])}"
      x="${index * BAR + 1}"
      y="${bottom.toFixed(2)}"
      width="${BAR - 2}"
      height="${height.toFixed(2)}"
    />`;
  });
  return html`${parts}`;
}

function drawLegend(series: readonly string[]): Html | false {
  if (series.length === 1 && series[0] === EVENTS) return false;
  return html`<span class="legend"
    >${series.map(
      (name) =>
        html`<span
          ><svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">
            <rect class="bar ${kindOf(name)}" width="14" height="14" />
          </svg>
          ${shown(name, 40)}</span
        >`,
    )}</span
  >`;
}

function kindOf(name: string | undefined): string {
  return KINDS[name ?? ''] ?? 'other';
}

function label(
  bucket: { readonly start: string } | undefined,
  unit: Timeline['unit'],
  zone: string,
): string {
  const text = bucket === undefined ? '' : formatMinute(bucket.start, zone);
  return unit === 'hour' ? text : text.slice(0, 10);
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0);
}

const PATTERNS: Html = {
  markup:
    '<defs><pattern id="hatch" width="3" height="6" patternUnits="userSpaceOnUse"><rect class="hatch-a" width="3" height="6"/><rect class="hatch-b" width="3" height="2.500"/></pattern><pattern id="dots" width="4" height="8" patternUnits="userSpaceOnUse"><rect class="dots-a" width="4" height="8"/><rect class="dots-b" width="2" height="4"/></pattern></defs>',
};
