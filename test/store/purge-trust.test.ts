/** What a purge rests on is its record, which trusted keys have signed: not the key under the checkpoint that it carries, and not the record's own word. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readKnown } from '../../agent/checkpoint/known.ts';
import type { Verification } from '../../ledger/examination.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import type { Known } from '../../ledger/verify/known.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { checkpointOf } from '../auditor/evidence-store.ts';
import { openPurgeStore, events, tenantOf, type PurgeStore } from '../support/purge-store.ts';
import { preview, PURGE_SIGNER, type PurgeableStream } from '../support/purging.ts';
import { createSealer } from './sealed.ts';

let bench: PurgeStore;
beforeAll(async () => void (bench = await openPurgeStore()));
afterAll(() => bench[Symbol.asyncDispose]());

const { privateKey } = generateKeyPairSync('ed25519');
const NEXT = createLogSigner('sealtrail/test', publicBytesOf(privateKey), signWithKey(privateKey));

function trusted(...signers: readonly NoteSigner[]): Trust {
  const trust = parseTrust(signers.map(({ vkey }) => vkey).join('\n'));
  if (!trust.ok) throw new Error(trust.error);
  return trust.value;
}

/** As `verify --store --trust … --checkpoints …` does: all that was signed of the stream at these sizes. */
async function verify(
  of: PurgeableStream,
  trust: Trust,
  ...signed: readonly (readonly [number, NoteSigner])[]
): Promise<Verification> {
  const notes = await Promise.all(
    signed.map(([size, signer]) => checkpointOf(of.records, size, signer)),
  );
  const files = notes.map(({ note, size }) => ({ name: `${size}.note`, text: note }));
  const known: Known = await readKnown({ dir: null, files, receipts: [], trust, policy: null });
  return verifyStore({ url: bench.server.url('auditor'), stream: of.stream, known });
}

test('one that was made up, behind the last checkpoint, excuses nothing', async () => {
  const honest = await bench.makeStream(events(600));
  await bench.purge(honest, 512);
  const made = await verify(honest, trusted(PURGE_SIGNER), [601, PURGE_SIGNER]);
  expect(made).toMatchObject({ verdict: 'intact', findings: [] });

  const mine = await bench.makeStream(events(600));
  const untouched = await verify(mine, trusted(PURGE_SIGNER), [600, PURGE_SIGNER]);
  expect(untouched).toMatchObject({ verdict: 'intact', findings: [] });
  // With a checkpoint of the agent's that whoever has the store has seen.
  const forger = createSealer(mine.stream, tenantOf(mine), mine.records.at(-1));
  const said = await preview(bench.clients.retention, mine.stream, 512);
  await mine.recordPurge(said, undefined, undefined, forger);
  await bench.tamper(
    'records',
    `DELETE FROM audit.records WHERE seq < 512 AND stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)`,
    [mine.stream],
  );
  const forged = await verify(mine, trusted(PURGE_SIGNER), [600, PURGE_SIGNER]);
  expect(forged.verdict).toBe('cannot_tell');
  expect(forged.notes.at(-1)).toContain(`rests on record 600 of ${mine.stream}`);
});

test('one whose checkpoint is of a key that is gone stands, once a trusted key has signed its record', async () => {
  const mine = await bench.makeStream(events(600));
  await bench.purge(mine, 512);
  const both = await verify(mine, trusted(PURGE_SIGNER, NEXT), [601, PURGE_SIGNER], [601, NEXT]);
  expect(both).toMatchObject({ verdict: 'intact', findings: [] });
  // `keys list` leaves a revoked key out.
  const next = trusted(NEXT);
  const revoked = { vkey: PURGE_SIGNER.vkey, time: '2026-01-01T00:00:00Z', reason: 'stolen' };
  for (const trust of [next, { ...trusted(PURGE_SIGNER, NEXT), revoked: [revoked] }]) {
    const made = await verify(mine, trust, [601, PURGE_SIGNER], [601, NEXT]);
    expect(made).toMatchObject({ verdict: 'intact', findings: [] });
    // Before the next key has signed it nobody does.
    const before = await verify(mine, trust, [601, PURGE_SIGNER]);
    expect(before).toMatchObject({ verdict: 'cannot_tell', findings: [] });
  }
});
