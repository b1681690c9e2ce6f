/** Anchors that lie in ways that would turn a true proof into a false one, or one anchor into two. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { judgeAnchors } from '../../../agent/checkpoint/anchors/judge.ts';
import { createTimestampAnchor } from '../../../agent/checkpoint/anchors/timestamp.ts';
import { createWitnessAnchor } from '../../../agent/checkpoint/anchors/witness.ts';
import { parsePolicy } from '../../../ledger/anchor-policy.ts';
import { formatSignature } from '../../../ledger/note.ts';
import { createWitnessSigner, publicBytesOf, signWithKey } from '../../../ledger/signing.ts';
import { parseWitnessRequest } from '../../../ledger/witness-request.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { startTimestampAuthority } from '../../support/timestamp-authority.ts';
import { createTestLog } from '../../support/witness.ts';

const inTime = (): AbortSignal => AbortSignal.timeout(20_000);

test('a cosignature over more than the checkpoint is not kept: it would refute every proof that holds it', async () => {
  const key = generateKeyPairSync('ed25519').privateKey;
  const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));
  const signer = createWitnessSigner('w', publicBytesOf(key), signWithKey(key), now);
  let more = '';
  const server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString();
      const note = parseWitnessRequest(body)?.note ?? '';
      const text = more === '' ? note.slice(0, note.indexOf('\n\n') + 1) : `${note}${more}`;
      const line = formatSignature({ ...signer, bytes: await signer.sign(text) });
      response.end(more === '' ? line : `${more}\n${line}`);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const anchor = createWitnessAnchor({ name: 'w', url, vkey: signer.vkey }, Date.now);
  if (!anchor.ok) throw new Error(anchor.error);
  const log = createTestLog();
  expect(await anchor.value.publish(await log.publication(3), inTime())).toMatchObject({
    ok: true,
  });
  more = 'and more\n';
  expect(await anchor.value.publish(await log.publication(4), inTime())).toMatchObject({
    ok: false,
    error: { kind: 'refused' },
  });
  server.close();
});

test('one authority under two names does not make a quorum of two', async () => {
  await using folder = await makeTempDir();
  await using authority = await startTimestampAuthority(folder.path);
  const publication = await createTestLog().publication(4);
  const { url, caFile } = authority;
  const anchor = createTimestampAnchor({ name: 't', url, ca_file: caFile });
  const given = await anchor.publish(publication, inTime());
  if (!given.ok) throw new Error(given.error.message);
  const copy = join(folder.path, 'the-same.pem');
  await copyFile(caFile, copy);
  const judge = (text: string): ReturnType<typeof judgeAnchors> => {
    const policy = parsePolicy(text);
    if (!policy.ok) throw new Error(policy.error);
    return judgeAnchors({
      note: publication.note,
      evidence: [given.value],
      policy: policy.value,
      policyPath: '/',
      roundTime: given.value.time,
    });
  };
  expect(await judge(`timestamp one ${caFile}\nquorum 1\n`)).toMatchObject({ ok: true });
  const twice = `timestamp one ${caFile}\ntimestamp two ${copy}\nquorum 2\n`;
  expect(await judge(twice)).toMatchObject({
    ok: false,
    error: { kind: 'cannot_tell', message: expect.stringContaining('one and two') as string },
  });
});
