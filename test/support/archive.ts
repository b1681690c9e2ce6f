/** What the tests of the archive share: a trail with checkpoints, a sink that archives it, and what stands there then. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createS3Sink } from '../../agent/deliver/sinks/s3.ts';
import { deliveryRecord } from '../../agent/deliver/record.ts';
import { realTiming } from '../../agent/deliver/timing.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../agent/ports.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import type { S3ExporterConfig } from '../../schemas/archive-config.ts';
import type { ArchiveClient } from '../../store/archive/client.ts';
import { listVersions } from '../../store/archive/objects.ts';
import { createSealer, type Sealer } from '../store/sealed.ts';
import { silentLog } from './append-stage.ts';
import { createFakeClock, startTestStage, TEST_SIGNER } from './checkpoints.ts';
import { makeEvent } from './events.ts';
import { openTestLedger } from './ledger.ts';
import { send } from './sinks.ts';

/** A test, or one that is left out loudly where the servers are not installed. */
export type ArchiveTest = (name: string, run: () => Promise<void>) => void;

export const DELIVERED: DeliveryResult = { kind: 'delivered', retry: [], poison: [] };
export const DAY_MS = 86_400_000;

export const openSink = (config: S3ExporterConfig, dataDir = '/nowhere'): Sink =>
  createS3Sink(config, { dataDir, log: silentLog, timing: realTiming });

/** Two streams, of two retention classes. */
export const sealers = (): readonly Sealer[] =>
  ['standard', 'financial'].map((label) => createSealer(`sealtrail/host-1/01INC/t1/${label}`));

/** Keys of all versions. */
export async function keysOf(client: ArchiveClient): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of listVersions(client, '')) keys.push(...page.map(({ key }) => key));
  return keys;
}

/** A ledger with checkpoints, its records as a sink gets them, and what its key is trusted by. */
export async function writeTrail(
  dir: string,
): Promise<{ records: readonly DeliveryRecord[]; trust: Trust }> {
  await mkdir(join(dir, 'checkpoints'), { recursive: true });
  const ledger = await openTestLedger(join(dir, 'ledger'));
  for (let at = 0; at < 10; at++)
    await ledger.commit(
      Array.from({ length: 30 }, (_, one) =>
        makeEvent({
          resource: {
            type: 'customer',
            id: `c-${one}`,
            tenant_id: one % 3 === 0 ? 'globex' : 'acme',
          },
        }),
      ),
    );
  const { records: durable } = ledger.writer.position();
  await ledger.writer.close();
  const { stage } = await startTestStage(dir, {
    clock: createFakeClock(),
    durable,
    settings: { records_max: 64 },
  });
  await stage.settled();
  await stage.stop();
  const reader = createLedgerReader({
    dir: join(dir, 'ledger'),
    filesystem: nodeFilesystem,
    from: 0,
  });
  const read = await reader.read({ recordsMax: durable, bytesMax: 1 << 26, upTo: durable });
  await reader.close();
  if (!read.ok) throw new Error(read.error.message);
  const records = read.value.map((text) => deliveryRecord(text.number, text)!);
  const trust = parseTrust(TEST_SIGNER.vkey);
  if (!trust.ok) throw new Error(trust.error);
  return { records, trust: trust.value };
}

/** Archives it in batches of 120. */
export async function archiveTrail(
  config: S3ExporterConfig,
  dir: string,
  records: readonly DeliveryRecord[],
): Promise<void> {
  const sink = openSink(config, dir);
  for (let from = 0; from < records.length; from += 120)
    expect(await send(sink, records.slice(from, from + 120))).toEqual(DELIVERED);
  await sink.close();
}
