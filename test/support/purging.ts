/**
 * A stream in a store, with its tree and a key that signs it: what an agent would do about a purge,
 * without the agent.
 */
import { generateKeyPairSync } from 'node:crypto';
import type pg from 'pg';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange, type CompactRange } from '../../ledger/merkle/range.ts';
import { signNote } from '../../ledger/note.ts';
import { describePurge, type PurgeProof } from '../../ledger/purge-record.ts';
import {
  createLogSigner,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../../ledger/signing.ts';
import type { Store, StoredRecord } from '../../store/store.ts';
import {
  previewPurge,
  stepPurge,
  type PurgePreview,
  type PurgeProgress,
} from '../../store/retention.ts';
import { createSealer, type EventFields, type Sealer } from '../store/sealed.ts';

/** Two years ago: any class of a year is over. */
export const LONG_AGO = '2024-11-01T00:00:00.000Z';

const { privateKey } = generateKeyPairSync('ed25519');
/** Signs the checkpoints that records of purges carry. */
export const PURGE_SIGNER: NoteSigner = createLogSigner(
  'sealtrail/test',
  publicBytesOf(privateKey),
  signWithKey(privateKey),
);

export interface PurgeableStream {
  readonly stream: string;
  readonly records: readonly StoredRecord[];
  /** Seals events, and stores them. */
  store(fields: readonly EventFields[]): Promise<void>;
  /** What its tree and its key have to say of a purge. */
  prove(preview: PurgePreview, checkpointSize?: number): Promise<PurgeProof>;
  /** Stores the record of a purge, changed as told, and returns its place. */
  recordPurge(
    preview: PurgePreview,
    change?: (metadata: Record<string, unknown>) => Record<string, unknown>,
    checkpointSize?: number,
    /** Who seals the record; default the stream itself. */
    by?: Sealer,
  ): Promise<{ readonly stream: string; readonly seq: number }>;
}

/** A stream of a class, whose genesis is still to come. */
export function createPurgeableStream(
  store: Store,
  tenant: string = 'acme',
  label: string = '1'.repeat(16),
  retentionClass: string = 'standard',
): PurgeableStream {
  const stream = `sealtrail/test/${'a'.repeat(32)}/${label}/${retentionClass}`;
  const sealer: Sealer = createSealer(stream, tenant);
  const records: StoredRecord[] = [];

  async function put(added: readonly StoredRecord[], isOwn = true): Promise<void> {
    if (isOwn) records.push(...added);
    const done = await store.appendRecords(added);
    if (!done.ok || done.value.refused.length > 0) throw new Error(JSON.stringify(done));
  }

  function rangeOf(size: number): CompactRange {
    const range = createRange();
    for (const { this_hash } of records.slice(0, size)) range.append(hashRecordLeaf(this_hash));
    return range.range();
  }

  async function prove(
    { size, base }: PurgePreview,
    checkpointSize = records.length,
  ): Promise<PurgeProof> {
    const root = createRange(rangeOf(checkpointSize)).root();
    const text = formatCheckpoint({ origin: stream, size: BigInt(checkpointSize), root });
    const checkpoint = await signNote(text, [PURGE_SIGNER]);
    return { range: rangeOf(size), base_range: rangeOf(base), checkpoint };
  }

  return {
    stream,
    records,
    prove,
    store: (fields) => put(fields.map((one) => sealer.seal({ receivedAt: LONG_AGO, ...one }))),
    recordPurge: async (preview, change = (same) => same, checkpointSize, by = sealer) => {
      const metadata = describePurge(preview, await prove(preview, checkpointSize));
      const purge = by.seal({
        action: 'retention.purge',
        category: 'audit_trail',
        resourceType: 'stream',
        resourceId: stream,
        metadata: change({ ...metadata }) as EventFields['metadata'] & object,
      });
      await put([purge], by === sealer);
      return { stream: by.stream, seq: purge.event.chain.seq };
    },
  };
}

/** Runs a purge to its end; throws what stands against it. */
export async function runPurge(
  client: pg.Client,
  record: { readonly stream: string; readonly seq: number },
  placesMax: number = 4096,
): Promise<PurgeProgress> {
  for (;;) {
    const step = await stepPurge(client, record, placesMax);
    if (!step.ok) throw new Error(`${step.error.kind}: ${step.error.message}`);
    if (step.value.finished) return step.value;
  }
}

/** The preview; throws what stands against it. */
export async function preview(
  client: pg.Client,
  stream: string,
  size: number,
): Promise<PurgePreview> {
  const found = await previewPurge(client, stream, size);
  if (!found.ok) throw new Error(`${found.error.kind}: ${found.error.message}`);
  return found.value;
}
