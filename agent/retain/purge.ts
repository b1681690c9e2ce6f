/**
 * Carries out a purge: the record first, through the running agent; then step by step in the store, each
 * step a transaction. Killed anywhere, the next run finds the record in the store and goes on. Before it
 * looks, the store has to hold all that the agent had recorded: else it could miss that record, and
 * write another.
 */
import type { ClientBase } from 'pg';
import { describePurge, PURGE_ACTION, type PurgeProof } from '../../ledger/purge-record.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import {
  findPurgesToRenew,
  planRetention,
  previewPurge,
  readStoreTime,
  stepPurge,
  type PurgePreview,
  type RetentionError,
  type StreamRetention,
} from '../../store/retention.ts';
import {
  isWorthwhile,
  planStream,
  purgeableSize,
  type OwnStream,
  type StreamPlan,
} from './plan.ts';

export interface PurgePorts {
  readonly store: ClientBase;
  /** The agent's own streams; an error says why there are none. */
  ownStreams(): Promise<Result<ReadonlyMap<string, OwnStream>, string>>;
  prove(stream: string, preview: PurgePreview): Promise<Result<PurgeProof, string>>;
  /** Has the running agent record it; resolves when it is durable. */
  record(operation: object): Promise<Result<RecordPlace, string>>;
  pause(ms: number): Promise<void>;
  nowMs(): number;
}

export interface RecordPlace {
  readonly stream: string;
  readonly seq: number;
}

export interface PurgeOptions {
  readonly by: string;
  /** Places a step, a multiple of 256. */
  readonly placesMax: number;
  /** How long the store may take to receive what the agent has recorded. */
  readonly waitMs: number;
  readonly onStep?: (stream: string, done: number, size: number) => void;
}

/** What became of a stream. */
export interface Purged {
  readonly stream: string;
  readonly size: number;
  /** Whole records that went with this purge, over all runs that it took. */
  readonly purged: number;
  readonly record: RecordPlace;
}

export interface PurgeOutcome {
  readonly done: readonly Purged[];
  /** Streams that could not be purged, and why. */
  readonly refusals: readonly string[];
}

const LOOK_MS = 100;
/** Two clocks that are further apart are not both right, and records expire by one of them. */
const SKEW_MS_MAX = 300_000;
/** Holds may be placed and lifted while a purge runs; then it is recorded anew. */
const TRIES_MAX = 5;

/** The plan; changes nothing. */
export async function drawPlan(
  ports: Pick<PurgePorts, 'store' | 'ownStreams'>,
): Promise<Result<readonly StreamPlan[], string>> {
  const own = await ports.ownStreams();
  if (!own.ok) return own;
  const stored = await planRetention(ports.store);
  if (!stored.ok) return err(stored.error.message);
  const plans: StreamPlan[] = [];
  for (const one of stored.value) {
    const mine = own.value.get(one.stream);
    const size = purgeableSize(one, mine);
    const preview = size === 0 ? null : await previewPurge(ports.store, one.stream, size);
    if (preview?.ok === false && preview.error.kind === 'failed') return err(preview.error.message);
    plans.push(planStream(one, mine, preview));
  }
  return ok(plans);
}

/** Purges what may go, stream by stream: one that is refused keeps no other one from its time. */
export async function purgeAll(
  ports: PurgePorts,
  options: PurgeOptions,
): Promise<Result<PurgeOutcome, string>> {
  const skewed = await findSkew(ports);
  if (skewed !== null) return err(skewed);
  const caughtUp = await awaitStore(ports, options);
  if (!caughtUp.ok) return caughtUp;
  const done: Purged[] = [];
  const refusals: string[] = [];
  for (const stream of caughtUp.value) {
    const purged = await purgeStream(ports, options, stream);
    if (!purged.ok) refusals.push(`${stream}: ${purged.error}`);
    else if (purged.value !== null) done.push(purged.value);
  }
  return ok({ done, refusals });
}

/** Why no purge may go by the store's clock; null: it agrees with this host's. */
async function findSkew({ store, nowMs }: PurgePorts): Promise<string | null> {
  const time = await readStoreTime(store);
  if (!time.ok) return time.error.message;
  const skewMs = time.value.getTime() - nowMs();
  if (Math.abs(skewMs) <= SKEW_MS_MAX) return null;
  return `the store's clock says ${time.value.toISOString()}, ${Math.round(skewMs / 1000)} s from this host's: what has expired is counted by it, so set the clocks right first`;
}

/** Waits until the store holds what the agent holds now; resolves with the agent's streams. */
async function awaitStore(
  { store, ownStreams, pause }: PurgePorts,
  { waitMs }: PurgeOptions,
): Promise<Result<readonly string[], string>> {
  const own = await ownStreams();
  if (!own.ok) return own;
  const endMs = performance.now() + waitMs;
  for (;;) {
    const stored = await planRetention(store);
    if (!stored.ok) return err(stored.error.message);
    // A stream that was purged to its end has no record left to say how far it was.
    const ends = new Map(
      stored.value.map(({ stream, next, purged }) => [stream, Math.max(next, purged)]),
    );
    const behind = [...own.value].filter(([stream, { next }]) => (ends.get(stream) ?? 0) < next);
    if (behind.length === 0) return ok([...own.value.keys()]);
    if (performance.now() > endMs)
      return err(`the store has not yet received all of ${behind[0]?.[0] ?? ''}; try again later`);
    await pause(LOOK_MS);
  }
}

async function purgeStream(
  ports: PurgePorts,
  options: PurgeOptions,
  stream: string,
): Promise<Result<Purged | null, string>> {
  let last: Purged | null = null;
  let refusal = '';
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const stored = await planRetention(ports.store);
    if (!stored.ok) return err(stored.error.message);
    const mine = stored.value.find((one) => one.stream === stream);
    if (mine === undefined) return ok(null);
    const record =
      mine.pending !== null && refusal === ''
        ? ok(mine.pending)
        : await recordNext(ports, options, mine);
    if (!record.ok) return record;
    if (record.value === null) return ok(last);
    const carried = await carryOut(ports, options, stream, record.value);
    if (carried.ok) {
      last = carried.value;
      refusal = '';
    } else if (carried.error.kind === 'refused') refusal = carried.error.message;
    else return err(carried.error.message);
  }
  return refusal === '' ? ok(last) : err(refusal);
}

/** Has the record of the purge written that is due now; null where none is. */
async function recordNext(
  ports: PurgePorts,
  options: PurgeOptions,
  stored: StreamRetention,
): Promise<Result<RecordPlace | null, string>> {
  const own = await ports.ownStreams();
  if (!own.ok) return own;
  const size = purgeableSize(stored, own.value.get(stored.stream));
  if (size === 0) return ok(null);
  const preview = await previewPurge(ports.store, stored.stream, size);
  if (!preview.ok) return err(preview.error.message);
  // One that was recorded and is refused now, for a hold on all that is left, would go on to excuse whoever takes that.
  if (!isWorthwhile(stored, preview.value) && stored.pending === null) return ok(null);
  const renewed = await renewRecords(ports, options, stored.stream, size);
  if (!renewed.ok) return renewed;
  const proof = await ports.prove(stored.stream, preview.value);
  if (!proof.ok) return proof;
  return recordPurge(ports, options, stored.stream, describePurge(preview.value, proof.value));
}

/** What this purge would take of the records of others, of streams whose incarnation is over, is recorded again first. */
async function renewRecords(
  ports: PurgePorts,
  options: PurgeOptions,
  stream: string,
  size: number,
): Promise<Result<void, string>> {
  const found = await findPurgesToRenew(ports.store, stream, size);
  if (!found.ok) return err(found.error.message);
  for (const { stream: purged, metadata } of found.value) {
    const record = await recordPurge(ports, options, purged, metadata);
    if (!record.ok) return record;
    const renewed = await carryOut(ports, options, purged, record.value);
    if (!renewed.ok) return err(renewed.error.message);
  }
  return ok(undefined);
}

function recordPurge(
  { record }: PurgePorts,
  { by }: PurgeOptions,
  stream: string,
  metadata: object,
): Promise<Result<RecordPlace, string>> {
  const resource = { type: 'stream', id: stream };
  return record({ action: PURGE_ACTION, outcome: 'success', by, resource, metadata });
}

async function carryOut(
  { store, pause }: PurgePorts,
  { placesMax, waitMs, onStep }: PurgeOptions,
  stream: string,
  record: RecordPlace,
): Promise<Result<Purged, RetentionError>> {
  const endMs = performance.now() + waitMs;
  for (;;) {
    const step = await stepPurge(store, record, placesMax);
    if (step.ok) {
      const { size, done_to, purged, finished } = step.value;
      onStep?.(stream, done_to, size);
      if (finished) return ok({ stream, size, purged, record });
    } else if (step.error.kind === 'not_yet' && performance.now() < endMs) await pause(LOOK_MS);
    else return step;
  }
}
