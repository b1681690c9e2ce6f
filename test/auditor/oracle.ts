/** The questions once more, over events in memory and by plain filters: what the store must answer. */
import type { SealedEvent } from '../../schemas/record.ts';

export interface Held {
  readonly event: SealedEvent;
  readonly streamId: number;
}

export interface OracleAsked {
  readonly tenant: string;
  readonly since: number;
  readonly until: number;
  readonly p: Readonly<Record<string, string>>;
}

const timeOf = ({ event }: Held): number => Date.parse(event.event.time);

/** The order of every answer whose rows are records. */
export function compare(one: Held, other: Held): number {
  return (
    timeOf(one) - timeOf(other) ||
    one.streamId - other.streamId ||
    one.event.chain.seq - other.event.chain.seq
  );
}

/** Each event once: of two records the one that was stored first. */
export function once(all: readonly Held[]): Held[] {
  const seen = new Set<string>();
  return all.filter(({ event }) => {
    const key = `${event.resource.tenant_id} ${event.event_id}`;
    return seen.has(key) ? false : Boolean(seen.add(key));
  });
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function ticketOf({ event }: Held): string {
  if (JSON.stringify(event).includes('\\u0000')) return '';
  const named = text(event.metadata['ticket']);
  return named !== ''
    ? named
    : (/[A-Z]{1,10}-[0-9]{1,12}/.exec(text(event.metadata['reason']))?.[0] ?? '');
}

const hasAction = (asked: OracleAsked, { event }: Held): boolean =>
  asked.p['actions'] === '*' || (asked.p['actions'] ?? '').split(',').includes(event.event.action);

function clock(ms: number, timeZone: string): { weekday: string; minutes: number } {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(ms);
  const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? '';
  return {
    weekday: of('weekday').toLowerCase(),
    minutes: Number(of('hour')) * 60 + Number(of('minute')),
  };
}

const minutesOf = (hhmm: string): number => Number(hhmm.slice(0, 2)) * 60 + Number(hhmm.slice(3));

/** Which records answer; `all` is everything of the tenant, each event once. */
type Rule = (held: Held, asked: OracleAsked, all: readonly Held[], timeZone: string) => boolean;

const isOutcome = ({ event }: Held, { p }: OracleAsked): boolean =>
  (p['outcome'] ?? 'any') === 'any' || event.event.outcome === p['outcome'];

export const RULES: Readonly<Record<string, Rule>> = {
  'all-activity': isOutcome,
  'actor-activity': (held, asked) =>
    held.event.actor.id === asked.p['actor'] && isOutcome(held, asked),
  'resource-history': ({ event }, { p }) =>
    event.resource.type === p['type'] && event.resource.id === p['id'],
  'action-occurrences': (held, asked) =>
    held.event.event.action === asked.p['action'] && isOutcome(held, asked),
  impersonations: ({ event }, { p }) =>
    event.actor.id === p['actor'] && event.actor.on_behalf_of !== null,
  'access-without-ticket': (held, asked) =>
    held.event.event.outcome === 'success' && hasAction(asked, held) && ticketOf(held) === '',
  'access-outside-tickets': (held, asked, all) => {
    const { event } = held;
    const actor = asked.p['actor'] ?? '';
    if (event.actor.id !== actor || event.event.outcome !== 'success' || !hasAction(asked, held))
      return false;
    const customer =
      text(event.metadata['customer']) ||
      (event.resource.type === 'customer' ? event.resource.id : event.actor.on_behalf_of?.id);
    const ticket = ticketOf(held);
    return !all.some((assign) => {
      if (
        assign.event.event.action !== 'ticket.assign' ||
        assign.event.metadata['assignee'] !== actor
      )
        return false;
      const end = all
        .filter(
          (later) =>
            ['ticket.assign', 'ticket.close'].includes(later.event.event.action) &&
            later.event.resource.id === assign.event.resource.id &&
            compare(later, assign) > 0,
        )
        .sort(compare)[0];
      const isOpen =
        timeOf(held) >= timeOf(assign) && (end === undefined || timeOf(held) < timeOf(end));
      const isNamed = ticket === '' || ticket === assign.event.resource.id;
      const isTheirs =
        customer === undefined ? ticket !== '' : customer === assign.event.metadata['customer'];
      return isOpen && isNamed && isTheirs;
    });
  },
  'subject-activity': ({ event }, { p }) =>
    [event.actor.id, event.actor.on_behalf_of?.id, event.resource.id].includes(p['subject'] ?? ''),
  'off-hours': (held, { p }, _all, timeZone) => {
    const { event } = held;
    if ((p['actor'] ?? '') !== '' && event.actor.id !== p['actor']) return false;
    if (p['category'] !== '*' && event.event.category !== (p['category'] ?? 'data_access'))
      return false;
    const { weekday, minutes } = clock(timeOf(held), timeZone);
    const isDay = (p['days'] ?? 'mon,tue,wed,thu,fri').split(',').includes(weekday);
    return (
      !isDay ||
      minutes < minutesOf(p['opens'] ?? '08:00') ||
      minutes >= minutesOf(p['closes'] ?? '18:00')
    );
  },
  'first-time-access': (held, { p }, all) =>
    held.event.actor.id === p['actor'] &&
    !all.some(
      (before) =>
        compare(before, held) < 0 &&
        timeOf(before) >= timeOf(held) - Number(p['days'] ?? '90') * 86_400_000 &&
        before.event.actor.id === p['actor'] &&
        before.event.resource.type === held.event.resource.type &&
        (p['of'] === 'kind' || before.event.resource.id === held.event.resource.id),
    ),
  'exports-over-rows': ({ event }, { p }) =>
    event.event.action === (p['action'] ?? 'customer.export') &&
    /^\d+$/.test(String(event.metadata['row_count'])) &&
    Number(event.metadata['row_count']) > Number(p['rows'] ?? '1000'),
};

/** [hour, actor, denials], by hour and actor; the offset of the time zone is whole hours here. */
export function denials(mine: readonly Held[], { since, until, p }: OracleAsked): unknown[] {
  const counts = new Map<string, [string, string, number]>();
  for (const held of mine) {
    const ms = timeOf(held);
    const { event, actor } = held.event;
    if (ms < since || ms >= until || event.outcome !== 'denied') continue;
    if ((p['action'] ?? '') !== '' && event.action !== p['action']) continue;
    const hour = new Date(Math.floor(ms / 3_600_000) * 3_600_000).toISOString();
    const count = counts.get(`${hour} ${actor.id}`) ?? [hour, actor.id, 0];
    counts.set(`${hour} ${actor.id}`, [hour, actor.id, count[2] + 1]);
  }
  const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  return [...counts.values()]
    .filter(([, , count]) => count >= Number(p['threshold'] ?? '10'))
    .sort((a, b) => byBytes(a[0], b[0]) || byBytes(a[1], b[1]));
}

/** [from, to] of what is longer than so many minutes. */
export function silences(mine: readonly Held[], { since, until, p }: OracleAsked): unknown[] {
  const times = mine.map(timeOf).filter((ms) => ms >= since && ms < until);
  const marks = [since, ...times.sort((a, b) => a - b), until];
  return marks.slice(1).flatMap((to, index) => {
    const from = marks[index] ?? to;
    return to - from > Number(p['minutes'] ?? '60') * 60_000
      ? [[new Date(from).toISOString(), new Date(to).toISOString()]]
      : [];
  });
}
