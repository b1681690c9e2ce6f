/** An investigation for a person: pure. Every line of it is made safe for a terminal before it is printed. */
import type { FoundEvent } from '../auditor/join/found-event.ts';
import type { Asked, Investigation } from '../auditor/join/investigation.ts';
import type { UserTrace } from '../auditor/join/investigate.ts';
import type { LogLine } from '../auditor/join/log-line.ts';
import { selfMs } from '../auditor/join/time-spent.ts';
import type { SpanNode, Tree } from '../auditor/join/tree.ts';
import { printable } from './printable.ts';

const LINES_SHOWN = 40;
const SPANS_SHOWN = 120;
const CHILDREN_SHOWN = 12;
const SPENT_SHOWN = 5;
const NAME_WIDTH = 44;
const BAR_WIDTH = 24;
const TEXT_WIDTH = 400;

/** Formats an investigation. */
export function formatInvestigation(found: Investigation): string {
  const ids = [
    ...found.requests.map((id) => `request_id ${id}`),
    ...found.traces.map((id) => `trace_id ${id}`),
  ];
  return lay([
    `INVESTIGATION of ${found.id}`,
    `joined by ${ids.length === 0 ? 'nothing: there is no id' : ids.join(', ')}; times put in order and decide nothing`,
    '',
    `AUDIT EVENTS  ${found.events.length}`,
    ...found.events.flatMap(formatEvent),
    '',
    `LOG LINES  ${found.lines_total}`,
    ...found.lines.slice(0, LINES_SHOWN).map(formatLine),
    ...more(found.lines_total - LINES_SHOWN, 'lines; --json has the first thousand of each source'),
    '',
    ...formatTrace(found.tree),
    '',
    'ANSWERS',
    ...formatAnswers(found),
    '',
    ...formatMissing(found),
    ...formatAsked(found.asked),
  ]);
}

/** Formats the traces of a user. */
export function formatUserTraces(
  user: string,
  traces: readonly UserTrace[],
  asked: readonly Asked[],
): string {
  return lay([
    `TRACES of user ${user}  ${traces.length}`,
    ...traces.map(
      ({ time, trace_id, request_id, service, name, spans }) =>
        `  ${time}  ${service} ${name}  ${spans} spans  trace_id ${trace_id}  request_id ${request_id ?? 'none'}`,
    ),
    '',
    ...formatAsked(asked),
  ]);
}

function lay(lines: readonly string[]): string {
  return lines.map((line) => printable(line).trimEnd()).join('\n');
}

function more(count: number, what: string): string[] {
  return count > 0 ? [`  … and ${count} more ${what}`] : [];
}

function formatEvent({ event, isHashRight }: FoundEvent): string[] {
  const { actor, chain, resource, source } = event;
  const behalf = actor.on_behalf_of;
  const details = Object.entries(event.metadata).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return [
    `  ${event.event.time}  ${event.event.action}  ${event.event.outcome}  ${event.event_id}`,
    `    who    ${actor.type} ${actor.id}${behalf === null ? '' : `, on behalf of ${behalf.type} ${behalf.id}`}`,
    `    what   ${resource.type} ${resource.id} of tenant ${resource.tenant_id}`,
    `    where  ${source.service}${source.ip === null ? '' : `, from ${source.ip}`}`,
    ...(details.length === 0 ? [] : [`    said   ${details.join(' ')}`]),
    `    sealed ${chain.stream} seq ${chain.seq}; ${isHashRight ? 'its hash is right' : 'ITS HASH IS WRONG: the record was changed'}`,
  ];
}

function formatLine({ time, level, service, message, where, joined_by }: LogLine): string {
  const said = message.length > TEXT_WIDTH ? `${message.slice(0, TEXT_WIDTH)}…` : message;
  const by = joined_by === 'trace_id' ? ' (by trace_id)' : '';
  return `  ${[time ?? 'no time', level ?? '-', service ?? '-', said].join('  ')}  [${where}]${by}`;
}

function formatTrace(tree: Tree): string[] {
  const { nodes, totalMs } = tree;
  if (nodes.length === 0) return ['TRACE  none'];
  const services = new Set(nodes.map(({ span }) => span.service));
  const skewed = new Set(
    nodes.filter(({ skewMs }) => skewMs !== 0).map(({ span }) => span.service),
  );
  const links = nodes.flatMap(({ span }) => span.links);
  return [
    `TRACE  ${nodes.length} spans, ${services.size} services, ${duration(totalMs)}`,
    `  ${'span'.padEnd(NAME_WIDTH)}${'duration'.padStart(11)}${'self'.padStart(11)}`,
    ...drawSpans(tree),
    ...(tree.duplicates > 0 ? [`  ${tree.duplicates} spans came twice; each is counted once`] : []),
    ...(tree.orphans > 0
      ? [
          `  ${tree.orphans} spans (marked ?) hang below a span that is not there: it was lost, not sampled, or is of another place`,
        ]
      : []),
    ...(tree.leftOut > 0
      ? [`  ${tree.leftOut} spans of another request in the same trace are left out`]
      : []),
    ...(skewed.size > 0
      ? [
          `  the clock of ${[...skewed].join(', ')} differs: those spans (marked ~) were moved into the call that they answer`,
        ]
      : []),
    ...(links.length > 0
      ? [`  linked: ${[...new Set(links.map(({ traceId }) => traceId))].slice(0, 10).join(', ')}`]
      : []),
  ];
}

/** Of many children the longest are drawn; what is left out is summed up. */
function drawSpans({ nodes, totalMs }: Tree): string[] {
  const drawn: string[] = [];
  const stack = [...nodes.keys()].filter((place) => nodes[place]?.depth === 0).reverse();
  let left = SPANS_SHOWN;
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    const node = nodes[place];
    if (node === undefined) continue;
    if (left === 0) {
      drawn.push(...more(nodes.length - SPANS_SHOWN, 'spans; --json has them all'));
      break;
    }
    left -= 1;
    drawn.push(drawSpan(node, nodes, totalMs));
    const longest = node.children
      .toSorted((a, b) => (nodes[b]?.durationMs ?? 0) - (nodes[a]?.durationMs ?? 0))
      .slice(0, CHILDREN_SHOWN);
    const hidden = node.children.length - longest.length;
    if (hidden > 0) drawn.push(`  ${'  '.repeat(node.depth + 1)}(and ${hidden} shorter ones)`);
    stack.push(...longest.sort((a, b) => a - b).reverse());
  }
  return drawn;
}

function drawSpan(node: SpanNode, nodes: readonly SpanNode[], totalMs: number): string {
  const { span, depth } = node;
  const marks = `${node.isOrphan ? '? ' : ''}${node.skewMs === 0 ? '' : '~ '}${span.isError ? '! ' : ''}`;
  const title = `${'  '.repeat(Math.min(depth, 12))}${marks}${span.service} ${span.name}`;
  const scale = totalMs === 0 ? 0 : BAR_WIDTH / totalMs;
  const before = Math.min(BAR_WIDTH - 1, Math.floor(node.startMs * scale));
  const length = Math.min(BAR_WIDTH - before, Math.max(1, Math.round(node.durationMs * scale)));
  const bar = `${' '.repeat(before)}${'█'.repeat(length)}`.padEnd(BAR_WIDTH);
  return `  ${title.padEnd(NAME_WIDTH)}${duration(node.durationMs).padStart(11)}${duration(selfMs(node, nodes)).padStart(11)}  |${bar}|`;
}

/** The trace was written by the application, beside the trail: where the two name different people, one of them is wrong. */
function formatUsers({ answers, events }: Investigation): string[] {
  const { users } = answers;
  if (users.length === 0) return [];
  const actors = new Set(events.map(({ event }) => event.actor.id));
  const others = users.filter((user) => events.length > 0 && !actors.has(user));
  return [
    `  user    ${users.join(', ')}, as the spans say${others.length === 0 ? '' : `: NOT WHO THE RECORD NAMES (${[...actors].join(', ')})`}`,
  ];
}

function formatAnswers(found: Investigation): string[] {
  const { answers } = found;
  const [most, ...others] = answers.time_spent;
  const spent = others.slice(0, SPENT_SHOWN - 1).filter(({ share }) => share >= 0.01);
  return [
    ...formatUsers(found),
    ...answers.rows.map(
      ({ rows, action, event_id }) => `  rows    ${rows} (${action} ${event_id})`,
    ),
    ...(answers.rows.length === 0 ? ['  rows    not known: no event here counts any'] : []),
    answers.total_ms === null ? '  took    not known' : `  took    ${duration(answers.total_ms)}`,
    ...(most === undefined
      ? []
      : [
          `  most of it in ${most.service} ${most.name}: ${duration(most.ms)}, ${percent(most.share)}${most.spans > 1 ? `, ${most.spans} spans` : ''}`,
          ...spent.map(
            ({ service, name, ms, share }) =>
              `          then ${service} ${name}: ${duration(ms)}, ${percent(share)}`,
          ),
        ]),
    answers.upload === null
      ? '  upload  not known: no span here uploads'
      : `  upload  ${duration(answers.upload.ms)} (${answers.upload.name}${answers.upload.spans > 1 ? `, ${answers.upload.spans} spans` : ''})`,
  ];
}

function formatMissing({ missing }: Investigation): string[] {
  if (missing.length === 0) return [];
  return ['MISSING', ...missing.flatMap(({ what, cost }) => [`  ${what}`, `    ${cost}`]), ''];
}

function formatAsked(asked: readonly Asked[]): string[] {
  return [
    'ASKED',
    ...asked.flatMap(({ kind, name, fault, notes, found }) => [
      fault === null
        ? `  ${kind.padEnd(7)} ${name}: ${found} found`
        : `  ${kind.padEnd(7)} ${name}: NOT READ: ${fault}`,
      ...notes.map((note) => `          ${note}`),
    ]),
  ];
}

function duration(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(2)} ms`;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;
