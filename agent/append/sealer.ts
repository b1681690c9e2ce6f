/**
 * The sealer: gives each event its place (stream, seq, salt, producer) and its hash. It holds the
 * chain heads in memory; `begin` … `commit` or `rollback` bracket one group commit, so that a write
 * that failed leaves no trace in the chain.
 */
import { randomBytes } from 'node:crypto';
import { GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { CHAIN_VERSION, type Receipt } from '../../schemas/record.ts';
import type { CanonicalEvent } from '../../schemas/canonical-event.ts';
import { formatChain } from '../../ledger/chain.ts';
import { createRecordBatch } from '../../ledger/record-batch.ts';
import {
  forgetSilentProducers,
  rememberProducer,
  type LedgerState,
  type StreamHead,
} from '../../ledger/state.ts';
import { agentEvent, type AgentIdentity } from './agent-event.ts';

export interface SealInput {
  readonly canonical: CanonicalEvent;
  readonly tenant: string;
  readonly retention_class: string;
}

export interface Producer {
  readonly id: string;
  readonly seq: number;
  readonly refused: number;
}

export interface Sealer {
  begin(): void;
  /** Seals one event; its line joins the batch. */
  seal(input: SealInput, producer: Producer): Receipt;
  /** Seals an event of the agent, under the agent's own producer. */
  sealOwn(input: SealInput): Receipt;
  /** Lines of the batch so far; the bytes are good until the next call. */
  batch(): { readonly bytes: Uint8Array; readonly records: number };
  commit(): void;
  rollback(): void;
  /** The incarnation that is sealed in. */
  incarnation(): string;
  /** Goes on in streams of a new incarnation; `reason` is that of their genesis. */
  renew(incarnation: string, reason: string): void;
  /** True while the heads count records whose commit is under way. */
  isAhead(): boolean;
}

export interface SealerOptions {
  readonly agent: AgentIdentity;
  readonly state: LedgerState;
  /** 128 random bits in hex, new whenever continuity is not proven. */
  readonly incarnation: string;
  /** Why this incarnation was begun. */
  readonly reason: string;
  /** Producer id for the agent's own and for foreign events, new at each start. */
  readonly producer: string;
  readonly nowMs: () => number;
}

const SALT_BYTES = 16;
const SALTS_PER_POOL = 256;

/** Creates a sealer over a recovered state, which it changes. */
export function createSealer(options: SealerOptions): Sealer {
  const { agent, state } = options;
  let { incarnation, reason } = options;
  const streams = openStreams(state, incarnation);
  const batch = createRecordBatch();
  let records = 0;
  let isAhead = false;
  let nowMs = 0;
  let now = '';
  let ownSeq = 0;
  let ownSeqBefore = 0;
  let salts = '';
  let saltAt = 0;
  // What the batch has changed, as it was before.
  const headsBefore = new Map<string, StreamHead | undefined>();
  const producersBefore = new Map<string, number | undefined>();
  const opened: string[] = [];

  function nextSalt(): string {
    if (saltAt === salts.length) {
      salts = randomBytes(SALT_BYTES * SALTS_PER_POOL).toString('hex');
      saltAt = 0;
    }
    saltAt += SALT_BYTES * 2;
    return salts.slice(saltAt - SALT_BYTES * 2, saltAt);
  }

  function streamOf(input: SealInput): string {
    const key = `${input.tenant}\n${input.retention_class}`;
    const known = streams.get(key);
    if (known !== undefined) return known;
    // The label is random, so a checkpoint does not name the tenant.
    const label = randomLabel();
    const stream = `sealtrail/${agent.name}/${incarnation}/${label}/${input.retention_class}`;
    streams.set(key, stream);
    opened.push(key);
    const genesis = agentEvent(
      agent,
      {
        action: 'ledger.genesis',
        outcome: 'success',
        tenant: input.tenant,
        resource: { type: 'stream', id: stream },
        metadata: {
          agent: agent.name,
          incarnation,
          public_key: agent.publicKey,
          reason,
          retention_class: input.retention_class,
          software_version: agent.version,
          tenant_label: label,
        },
      },
      nowMs,
    );
    place(genesis, stream, input.tenant, { id: options.producer, seq: ownSeq++, refused: 0 });
    return stream;
  }

  function place(
    canonical: CanonicalEvent,
    stream: string,
    tenant: string,
    producer: Producer,
  ): Receipt {
    const head = state.streams.get(stream);
    if (!headsBefore.has(stream)) headsBefore.set(stream, head);
    if (!producersBefore.has(producer.id)) {
      producersBefore.set(producer.id, state.producers.get(producer.id));
    }
    const seq = head?.next_seq ?? 0;
    const prevHash = head?.head_hash ?? GENESIS_PREV_HASH;
    // The clock may step back; received_at never does within a stream.
    const received_at = head !== undefined && head.received_at > now ? head.received_at : now;
    const chain = formatChain({
      v: CHAIN_VERSION,
      stream,
      seq,
      received_at,
      salt: nextSalt(),
      producer:
        producer.refused === 0
          ? { id: producer.id, seq: producer.seq }
          : { id: producer.id, seq: producer.seq, refused: producer.refused },
    });
    const this_hash = batch.add(canonical, chain, prevHash);
    records += 1;
    isAhead = true;
    state.streams.set(stream, { tenant, next_seq: seq + 1, head_hash: this_hash, received_at });
    rememberProducer(state.producers, producer.id, producer.seq);
    return { stream, seq, this_hash };
  }

  function begin(): void {
    batch.clear();
    records = 0;
    nowMs = options.nowMs();
    now = new Date(nowMs).toISOString();
    ownSeqBefore = ownSeq;
    headsBefore.clear();
    producersBefore.clear();
    opened.length = 0;
  }

  function rollback(): void {
    for (const [stream, head] of headsBefore) {
      if (head === undefined) state.streams.delete(stream);
      else state.streams.set(stream, head);
    }
    for (const [id, seq] of producersBefore) {
      if (seq === undefined) state.producers.delete(id);
      else state.producers.set(id, seq);
    }
    for (const key of opened) streams.delete(key);
    ownSeq = ownSeqBefore;
    isAhead = false;
  }

  return {
    begin,
    rollback,
    isAhead: () => isAhead,
    incarnation: () => incarnation,
    renew: (to, why) => {
      incarnation = to;
      reason = why;
      streams.clear();
    },
    seal: (input, producer) => place(input.canonical, streamOf(input), input.tenant, producer),
    sealOwn: (input) => {
      const stream = streamOf(input);
      const producer = { id: options.producer, seq: ownSeq++, refused: 0 };
      return place(input.canonical, stream, input.tenant, producer);
    },
    batch: () => ({ bytes: batch.bytes(), records }),
    commit: () => {
      state.records += records;
      isAhead = false;
      forgetSilentProducers(state.producers);
    },
  };
}

/** (tenant, class) -> stream, for the streams of this incarnation that the ledger already has. */
function openStreams(state: LedgerState, incarnation: string): Map<string, string> {
  const streams = new Map<string, string>();
  for (const [stream, head] of state.streams) {
    const parts = stream.split('/');
    if (parts[2] === incarnation) streams.set(`${head.tenant}\n${parts[4] ?? ''}`, stream);
  }
  return streams;
}

/** The incarnation that the newest stream of a ledger belongs to; null in an empty one. */
export function lastIncarnation(state: LedgerState): string | null {
  let last: string | null = null;
  for (const stream of state.streams.keys()) last = stream.split('/')[2] ?? last;
  return last;
}

/** Never digits alone, which whoever looks for card numbers in a SIEM would take for one, one time in so many. */
function randomLabel(): string {
  for (;;) {
    const label = randomBytes(8).toString('hex');
    if (/[a-f]/.test(label)) return label;
  }
}
