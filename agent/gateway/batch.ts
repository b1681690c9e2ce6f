/**
 * One batch of messages, from the wire to its answers. A message is acknowledged after the store's
 * commit, given up only once it is a dead letter on disk, and in every other case handed back or, where
 * its predecessor is to come, held unanswered.
 */
import { assertNever, type Result } from '../../schemas/result.ts';
import type { StoredLinks, StreamPlace } from '../../store/links.ts';
import type { Store, StoreError } from '../../store/store.ts';
import type { LogLimit } from '../log-limit.ts';
import type { Fork, Logger } from '../ports.ts';
import type { GatewayLetter, GatewayLetters } from './dead-letters.ts';
import { readIncoming, type GatewayMessage, type Incoming, type Refused } from './incoming.ts';
import { linkRecords, type Verdict } from './link.ts';
import type { GatewayTotals } from './totals.ts';
import type { Waiting } from './waiting.ts';

export type TellFork = (tenant: string, fork: Fork) => void;

/** A message that is never stored. */
interface RefusedMessage {
  readonly message: GatewayMessage;
  readonly refused: Refused;
  /** Of a message that is a sealed record. */
  readonly stream?: string;
}

export interface BatchOptions {
  readonly subjectPrefix: string;
  readonly links: {
    read(places: readonly StreamPlace[]): Promise<Result<StoredLinks, StoreError>>;
  };
  readonly store: Pick<Store, 'appendRecords'>;
  readonly letters: Pick<GatewayLetters, 'add'>;
  readonly waiting: Waiting;
  /** Tells the agents of a tenant, named by its token. Throws when the connection has ended. */
  readonly tellFork: TellFork;
  readonly totals: GatewayTotals;
  readonly log: Logger;
  /** Of what goes on as long as messages come: a store that is away, findings, each by its kind. */
  readonly logLimit: LogLimit;
}

/** There is no room to hold an early record: its predecessor may be there when it comes again. */
const EARLY_MS = 50;
/** Longest that a message is handed back for. */
export const HANDED_BACK_MS_MAX = 5_000;
/** The store is away, or the disk. */
const TROUBLE_MS = 1_000;

/** Milliseconds until a record whose predecessor is missing is looked at again. */
export function earlyDelayMs(deliveries: number): number {
  return Math.min(HANDED_BACK_MS_MAX, EARLY_MS * 2 ** Math.min(20, Math.max(0, deliveries - 1)));
}

/** Handles a batch; every message is answered or held when it resolves. */
export async function handleBatch(
  options: BatchOptions,
  messages: readonly GatewayMessage[],
  signal: AbortSignal,
): Promise<void> {
  const incoming: Incoming[] = [];
  const letters: RefusedMessage[] = [];
  for (const message of messages) {
    const read = readIncoming(message.subject, message.data, options.subjectPrefix);
    if (read.ok) incoming.push({ message, record: read.value });
    else letters.push({ message, refused: read.error });
  }
  const refused = await storeLinked(options, incoming, signal);
  await setAside(options, [...letters, ...refused]);
}

/** Stores what belongs behind what is stored; resolves with what never will. */
async function storeLinked(
  { links, store, totals, waiting, log, logLimit }: BatchOptions,
  come: readonly Incoming[],
  signal: AbortSignal,
): Promise<RefusedMessage[]> {
  if (come.length === 0) return [];
  const incoming = [...come, ...waiting.release(come)];
  const records = incoming.map(({ record }) => record);
  const handBack = (error: StoreError): [] => {
    totals.failed(`${error.kind}: ${error.message}`);
    const count = logLimit(`store ${error.kind}`);
    const fields = { kind: error.kind, reason: error.message, count };
    if (count !== null) log.warn(fields, 'the store did not take records');
    for (const { message } of incoming) message.nak(TROUBLE_MS);
    return [];
  };
  const found = await links.read(records.map(({ event }) => event.chain));
  if (!found.ok) return handBack(found.error);
  const { verdicts, order } = linkRecords(records, found.value);
  const appended =
    order.length === 0
      ? null
      : await store.appendRecords(
          order.flatMap((index) => records[index] ?? []),
          signal,
        );
  if (appended?.ok === false) return handBack(appended.error);
  const byStore = new Map<number, Refused>();
  for (const { index, kind, reason } of appended?.value.refused ?? []) {
    const at = order[index];
    if (at !== undefined) byStore.set(at, { kind, reason });
  }
  totals.stored(appended?.value.stored ?? 0);
  return answer(incoming, verdicts, byStore, { totals, waiting });
}

/** Answers everything but what is refused, which it returns. */
function answer(
  incoming: readonly Incoming[],
  verdicts: readonly Verdict[],
  byStore: ReadonlyMap<number, Refused>,
  { totals, waiting }: Pick<BatchOptions, 'totals' | 'waiting'>,
): RefusedMessage[] {
  const refused: RefusedMessage[] = [];
  for (const [index, one] of incoming.entries()) {
    const { message, record } = one;
    const verdict = verdicts[index];
    if (verdict === undefined) continue;
    const { stream } = record.event.chain;
    switch (verdict.kind) {
      case 'store':
      case 'same': {
        const why = byStore.get(verdict.kind === 'same' ? verdict.as : index);
        if (why !== undefined) refused.push({ message, refused: why, stream });
        else message.ack();
        if (verdict.kind === 'same') totals.repeated(1);
        totals.arrived(stream, record.event.chain.seq);
        break;
      }
      case 'repeated':
        message.ack();
        totals.repeated(1);
        break;
      case 'early':
        if (!waiting.hold(one)) message.nak(earlyDelayMs(message.deliveries));
        totals.early(stream, verdict.missing);
        break;
      case 'refused':
        refused.push({ message, refused: verdict.refused, stream });
        break;
      default:
        assertNever(verdict);
    }
  }
  return refused;
}

async function setAside(
  { letters, totals, log, logLimit, tellFork }: BatchOptions,
  refused: readonly RefusedMessage[],
): Promise<void> {
  if (refused.length === 0) return;
  const kept = refused.map(({ message, refused: why }): GatewayLetter => ({
    refused: why,
    subject: message.subject,
    message: message.number,
    data: message.data,
  }));
  const added = await letters.add(kept);
  if (!added.ok) {
    totals.failed(added.error);
    const count = logLimit('dead letters');
    if (count !== null) log.error({ reason: added.error, count }, 'dead letters could not be kept');
    for (const { message } of refused) message.nak(TROUBLE_MS);
    return;
  }
  for (const [tenant, fork] of forksOf(refused)) tellFork(tenant, fork);
  for (const { message, refused: why } of refused) {
    message.term();
    totals.refused(why);
    const count = logLimit(`finding ${why.kind}`);
    if (count === null) continue;
    log.error(
      { kind: why.kind, reason: why.reason, number: message.number, count },
      'FINDING: a message that is no genuine record was set aside',
    );
  }
}

/** One a stream, with the token of its tenant: whoever went on with a copy of a ledger does not know it yet. */
function forksOf(refused: readonly RefusedMessage[]): Iterable<readonly [string, Fork]> {
  const forks = new Map<string, readonly [string, Fork]>();
  for (const { message, refused: why, stream } of refused)
    if (stream !== undefined && (why.kind === 'fork' || why.kind === 'link_broken'))
      forks.set(stream, [tenantOf(message), { stream, reason: `${why.kind}: ${why.reason}` }]);
  return forks.values();
}

/** The subject ends in the token. */
function tenantOf({ subject }: GatewayMessage): string {
  return subject.slice(subject.lastIndexOf('.') + 1);
}
