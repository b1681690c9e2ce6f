/** What operators may have recorded: a purge in its own form only, and nothing that must not be kept. */
import { expect, test } from 'vitest';
import { recordOperations } from '../../../agent/retaining.ts';
import { describePurge } from '../../../ledger/purge-record.ts';
import { createRange } from '../../../ledger/merkle/range.ts';

const stream = `sealtrail/test/${'a'.repeat(32)}/0123456789abcdef/standard`;
const recorded: string[] = [];
const record = recordOperations(
  {
    agent: { name: 'test', version: '1.0.0', publicKey: 'A'.repeat(44) },
    keys: { redaction: Buffer.alloc(32, 1) },
    config: { processors: { redaction: { sensitive_keys: [], keep_emails: true } } },
  } as never,
  {
    append: {
      status: () => ({ streams: [{ stream, tenant: 'acme' }] }),
      append: ({ events }: { events: { value: { canonical: { bytes: Buffer } } }[] }) => {
        recorded.push(events[0]?.value.canonical.bytes.toString() ?? '');
        return Promise.resolve([{ kind: 'acked', receipt: { stream, seq: 7 } }]);
      },
    },
  } as never,
);
const ask = (metadata: object, action = 'retention.purge') =>
  record(
    JSON.stringify({
      ...{ action, outcome: 'success', by: 'ada', metadata },
      resource: { type: 'stream', id: stream },
    }),
  );
const PURGE = {
  ...{ stream, size: 256, base: 256, kept: 0, records: 256, kept_sha256: '0'.repeat(64) },
  ...{ head_hash: 'a'.repeat(64), base_hash: 'a'.repeat(64) },
};

test('what is called a purge and is none is refused, so that no record of one says anything else', async () => {
  const range = createRange();
  for (let leaf = 0; leaf < 256; leaf += 1) range.append(new Uint8Array(32).fill(leaf));
  const proof = { range: range.range(), base_range: range.range(), checkpoint: 'note' };
  expect(await ask(describePurge(PURGE, proof))).toMatchObject({ ok: true, value: { seq: 7 } });
  for (const wrong of [{ size: 255 }, { checkpoint: null }, { range: [] }, { kept: '078-05-1120' }])
    expect(await ask({ ...describePurge(PURGE, proof), ...wrong })).toMatchObject({
      error: 'metadata is no record of a purge',
    });
  expect(recorded).toHaveLength(1);
});

test('what people write is redacted', async () => {
  expect(await ask({ matter: 'SSN 078-05-1120' }, 'hold.placed')).toMatchObject({ ok: true });
  expect(recorded.at(-1)).not.toContain('078-05');
});
