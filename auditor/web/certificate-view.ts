/** What a certificate says, as a banner: in a colour, with a sign and in words. Pure. */
import { html, shown, type Html } from './html.ts';
import { recordOf, type Certificate } from '../certificate/certificate.ts';

const WORDS: Readonly<Record<Certificate['verdict'], readonly [sign: string, word: string]>> = {
  intact: ['✓', 'Intact'],
  broken: ['✕', 'Broken'],
  cannot_tell: ['?', 'Cannot tell'],
};

const FINDINGS_SHOWN = 20;

/**
 * The banner of an answer: the verdict and what was found, with a way to each record; what they rest on opens. `others`: pages
 * that were shown with other rows than were certified, from 1; then what is said of the answer is said of none of them.
 */
export function drawCertificate(
  certificate: Certificate,
  answerId: string,
  others: readonly number[] = [],
): Html {
  if (others.length === 0) return drawBanner(certificate, answerId);
  const pages = others.length === 1 ? `page ${others[0]}` : `pages ${others.join(', ')}`;
  const doubt = drawNoCertificate(
    `The rows on ${pages} of this answer are not those that were certified: records came in meanwhile, or the database shows one statement less than another. Load the page again.`,
  );
  return html`${doubt}${certificate.verdict !== 'intact' && drawBanner(certificate, answerId)}`;
}

function drawBanner(certificate: Certificate, answerId: string): Html {
  const { verdict, finding, findings, proven, not_proven: notProven, notes } = certificate;
  const [sign, word] = WORDS[verdict];
  const listOf = (title: string, lines: readonly Html[]): Html | false =>
    lines.length > 0 &&
    html`<h2>${title}</h2>
      <ul>
        ${lines.map((line) => html`<li>${line}</li>`)}
      </ul>`;
  const list = (title: string, lines: readonly string[]): Html | false =>
    listOf(
      title,
      lines.map((line) => shown(line, 2000)),
    );
  const found = findings.slice(0, FINDINGS_SHOWN).map((one, index) => {
    const place = one.rows.length === 0 ? 'Not among the rows' : `Row ${one.rows.join(', ')}`;
    const record = recordOf(one);
    const said = shown(`${place}: ${one.message}${record && ` (${record})`}`, 2000);
    const way = html`<a href="/answers/${answerId}/findings/${index}">Look at the record</a>`;
    return html`${said}${record !== '' && html` ${way}`}`;
  });
  const facts = factsOf(certificate).map(
    ([name, value]) =>
      html`<div>
        <dt>${name}</dt>
        <dd>${shown(value, 500)}</dd>
      </div>`,
  );
  return html`<div class="banner ${verdict}">
    <p class="verdict">
      <span class="sign" aria-hidden="true">${sign}</span
      ><span><strong>${word}.</strong> ${shown(restOf(finding), 2000)}</span>
    </p>
    ${listOf('What was found', found)}
    <details>
      <summary>What this rests on</summary>
      ${list('What is shown', proven)}${list('What is not shown', notProven)}${list('Notes', notes)}
      <dl class="facts">${facts}</dl>
    </details>
  </div>`;
}

/** The sentence behind its verdict, which the banner says in its own type. */
function restOf(finding: string): string {
  const rest = finding.replace(/^(Intact:|BROKEN|Cannot tell:) /, '');
  return `${rest.charAt(0).toUpperCase()}${rest.slice(1)}`;
}

function factsOf({
  records,
  streams,
  login,
  verifier,
}: Certificate): (readonly [string, string])[] {
  const unique = (values: readonly string[]): string => [...new Set(values)].join(', ');
  const keys = unique(streams.flatMap((one) => one.keys));
  const anchors = unique(
    streams.flatMap(({ anchored }) =>
      anchored === null ? [] : [`${anchored.time} by ${anchored.by.join(', ')}`],
    ),
  );
  return [
    ['Records compared', records.toLocaleString('en-US')],
    ['Signed by', keys === '' ? 'no key that is known here' : keys],
    ['Anchored', anchors === '' ? 'not judged' : anchors],
    ['Read as', login],
    ['Verified by', verifier],
  ];
}

/** When none could be made. */
export function drawNoCertificate(reason: string): Html {
  return html`<div class="banner cannot_tell">
    <p class="verdict">
      <span class="sign" aria-hidden="true">?</span
      ><span><strong>Cannot tell.</strong> ${shown(reason, 1000)}</span>
    </p>
  </div>`;
}

/** Before it is made. */
export function certificatePlace(id: string): Html {
  const path = `/answers/${id}/certificate`;
  return html`<div class="banner pending" data-part="${path}" data-progress="${path}/progress">
    <p class="verdict">
      <span class="sign" aria-hidden="true">…</span
      ><span data-part-says
        >The certificate is made apart from the answer.
        <a href="${path}">Check the records</a></span
      >
    </p>
  </div>`;
}
