/** What operators look at: whether records get on disk, under checkpoints, and to where they have to go. Pure. */
import { html, shown, type Html } from './html.ts';
import type { Page } from './page.ts';
import type { Health } from './ports.ts';
import { formatTime } from './times.ts';

type State = 'good' | 'warn' | 'bad';
const SIGNS: Readonly<Record<State, readonly [sign: string, word: string]>> = {
  good: ['✓', 'Good'],
  warn: ['!', 'Look at it'],
  bad: ['✕', 'Act now'],
};
/** An agent signs within a second, and anchors within a minute. */
const LATE_MS = 5 * 60_000;
const BEHIND_S = 60;
const DISK_WARN = 0.8;
const DISK_BAD = 0.95;
const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

/** Draws the page of an agent that answered. */
export function healthPage(health: Health, nowMs: number): Page {
  const { agent, version, started_at: started } = health;
  const cards = [
    drawIntake(health),
    drawDisk(health),
    drawCheckpoints(health, nowMs),
    drawAnchors(health, nowMs),
  ];
  const sinks = health.sinks.map(drawSink);
  return {
    title: 'Health',
    at: 'health',
    body: html`<h1>Delivery and integrity</h1>
      <p class="lead">
        Agent ${shown(agent)}, version ${version}, running since
        ${formatTime(started, 'UTC').slice(0, 16)} UTC.
      </p>
      <div class="cards states">${cards}</div>
      <h2>Where records go</h2>
      ${
        sinks.length === 0
          ? html`<p>No sink is configured.</p>`
          : html`<div class="scroll rows" tabindex="0" role="region" aria-labelledby="sinks">
              <table>
                <caption id="sinks">
                  Sinks, as of ${formatTime(new Date(nowMs).toISOString(), 'UTC').slice(0, 19)} UTC
                </caption>
                <thead>
                  <tr>
                    <th scope="col">Sink</th>
                    <th scope="col">State</th>
                    <th scope="col" class="number">Waiting</th>
                    <th scope="col" class="number">Behind</th>
                    <th scope="col" class="number">Delivered</th>
                    <th scope="col" class="number">Dead letters</th>
                    <th scope="col">Last error</th>
                  </tr>
                </thead>
                <tbody>
                  ${sinks}
                </tbody>
              </table>
            </div>`
      }`,
  };
}

/** A state as a sign, a word and a colour. */
function drawState(state: State, says: string): Html {
  return html`<span class="state ${state}"
    ><span aria-hidden="true">${SIGNS[state][0]}</span> ${says}</span
  >`;
}

function drawCard(
  title: string,
  state: State,
  facts: readonly (readonly [string, string])[],
  note: string | null,
): Html {
  return html`<section class="card">
    <h2>${title}</h2>
    <p>${drawState(state, SIGNS[state][1])}</p>
    <dl class="facts">
      ${facts.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${shown(value, 300)}</dd>
          </div>`,
      )}
    </dl>
    ${note !== null && html`<p class="hint">${shown(note, 500)}</p>`}
  </section>`;
}

function drawIntake({ append, rollback }: Health): Html {
  const state = append.state !== 'ready' ? 'bad' : rollback === null ? 'good' : 'warn';
  const fsync =
    append.last_fsync_ms === null ? 'none yet' : `${append.last_fsync_ms.toFixed(1)} ms`;
  return drawCard(
    'Taking events',
    state,
    [
      ['State', append.state.replace('_', ' ')],
      ['On disk', `${number(append.records)} records`],
      ['Queue', `${number(append.queue_events)} of ${number(append.queue_events_max)}`],
      ['Last fsync', fsync],
      ['At', time(append.last_fsync_at)],
    ],
    rollback ?? append.last_error,
  );
}

function drawDisk({ disk, append }: Health): Html {
  if (disk === null) return drawCard('Disk', 'warn', [['Used', 'not measured yet']], null);
  const { used_ratio: used, bytes_left: left, seconds_left: seconds } = disk;
  const isSoon = (within: number): boolean => seconds !== null && seconds < within;
  const state =
    used >= DISK_BAD || isSoon(HOUR_S)
      ? 'bad'
      : used >= DISK_WARN || isSoon(DAY_S)
        ? 'warn'
        : 'good';
  return drawCard(
    'Disk',
    state,
    [
      ['Used', `${(used * 100).toFixed(1)} %`],
      ['Ledger', bytes(append.ledger_bytes)],
      ['Left', bytes(left)],
      ['Full in', seconds === null ? 'not at this rate' : duration(seconds)],
    ],
    null,
  );
}

function drawCheckpoints({ checkpoints }: Health, nowMs: number): Html {
  if (checkpoints === null)
    return drawCard(
      'Checkpoints',
      'bad',
      [['State', 'none']],
      'Without them a rewrite of the whole ledger is not seen.',
    );
  const { state, lag_records: lag, signed_at: signed, last_error: error } = checkpoints;
  const isLate = lag > 0 && ageMs(signed, nowMs) > LATE_MS;
  const isBad = state === 'contradicted' || state === 'stopped';
  return drawCard(
    'Checkpoints',
    isBad ? 'bad' : isLate || state === 'retrying' ? 'warn' : 'good',
    [
      ['State', state],
      ['Last signed', time(signed)],
      ['Under none yet', `${number(lag)} records`],
    ],
    error,
  );
}

function drawAnchors({ checkpoints }: Health, nowMs: number): Html {
  const anchors = checkpoints?.anchors ?? null;
  const own: [string, string] = ['Anchor log', time(checkpoints?.anchored_at ?? null)];
  if (anchors === null)
    return drawCard(
      'Anchors',
      'warn',
      [own],
      'Nobody else has the checkpoints: who holds the keys could rewrite them.',
    );
  const { quorum, quorum_at: at, members } = anchors;
  const isConflict = members.some(({ state }) => state === 'conflict');
  const isLate = ageMs(at, nowMs) > LATE_MS;
  return drawCard(
    'Anchors',
    isConflict ? 'bad' : isLate ? 'warn' : 'good',
    [
      ['Quorum', `${quorum} of ${members.length}`],
      ['Last reached', time(at)],
      own,
      ...members.map(({ name, state }): [string, string] => [name, state]),
    ],
    members.find(({ last_error: error }) => error !== null)?.last_error ?? null,
  );
}

function drawSink(sink: Health['sinks'][number]): Html {
  const {
    name,
    type,
    required,
    state,
    lag_records: lag,
    lag_seconds: seconds,
    dead_letters: dead,
  } = sink;
  const isBehind = lag > 0 && seconds > BEHIND_S;
  const isBad = state === 'stopped' || (dead > 0 && required);
  const is: State = isBad
    ? 'bad'
    : isBehind || state === 'retrying' || dead > 0 || sink.skipped_total > 0
      ? 'warn'
      : 'good';
  return html`<tr>
    <th scope="row">
      ${shown(name, 60)} <span class="none">${type}${!required && ', best effort'}</span>
    </th>
    <td data-title="State">${drawState(is, state)}</td>
    <td data-title="Waiting" class="number">${number(lag)}</td>
    <td data-title="Behind" class="number">${duration(seconds)}</td>
    <td data-title="Delivered" class="number">${number(sink.delivered_total)}</td>
    <td data-title="Dead letters" class="number">${number(dead)}</td>
    <td data-title="Last error">
      ${sink.last_error === null ? html`<span class="none">–</span>` : shown(sink.last_error, 200)}
    </td>
  </tr>`;
}

/** In the largest unit of which there are two or more. */
function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const [length, unit] =
    seconds >= 2 * DAY_S
      ? [DAY_S, 'days']
      : seconds >= 2 * HOUR_S
        ? [HOUR_S, 'hours']
        : [60, 'min'];
  return `${number(Math.floor(seconds / length))} ${unit}`;
}

function time(utc: string | null): string {
  return utc === null ? 'not since the start' : `${formatTime(utc, 'UTC').slice(0, 19)} UTC`;
}

function ageMs(utc: string | null, nowMs: number): number {
  return utc === null ? Infinity : nowMs - Date.parse(utc);
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}

function bytes(value: number): string {
  if (value < 1e6) return `${(value / 1e3).toFixed(1)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}
