/** Anchors that vouch, against the real thing: a witness, and the authority of `openssl ts`. Those that record: recorders. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ContentInfo, SignedData } from 'pkijs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Anchor } from '../../../agent/checkpoint/anchors/anchor.ts';
import { comparing } from '../../../agent/checkpoint/anchors/compare.ts';
import { createTimestampAnchor } from '../../../agent/checkpoint/anchors/timestamp.ts';
import { verifyToken } from '../../../agent/checkpoint/anchors/timestamp-token.ts';
import { createWitnessAnchor } from '../../../agent/checkpoint/anchors/witness.ts';
import { parseKeys } from '../../../agent/checkpoint/anchors/begin.ts';
import { startWitness, type RunningWitness } from '../../../agent/witness.ts';
import { silentLog } from '../../support/append-stage.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { signAsServer, startTimestampAuthority } from '../../support/timestamp-authority.ts';
import { createTestLog, type TestLog } from '../../support/witness.ts';

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let witness: RunningWitness;
const trusted: TestLog[] = [];
const inTime = (): AbortSignal => AbortSignal.timeout(20_000);

async function createKnownLog(): Promise<TestLog> {
  const log = createTestLog();
  trusted.push(log);
  await writeFile(join(dir.path, 'keys.txt'), trusted.map(({ vkey }) => `${vkey}\n`).join(''));
  return log;
}

function witnessAnchor(url = witness.url, vkey = witness.vkey, nowMs = Date.now): Anchor {
  const anchor = createWitnessAnchor({ name: 'w', url, vkey }, nowMs);
  if (!anchor.ok) throw new Error(anchor.error);
  return anchor.value;
}

beforeAll(async () => {
  dir = await makeTempDir();
  await createKnownLog();
  const started = await startWitness({
    dataDir: join(dir.path, 'witness'),
    listen: '127.0.0.1:0',
    trustFile: join(dir.path, 'keys.txt'),
    name: 'w.example',
    log: silentLog,
  });
  if (!started.ok) throw new Error(started.error);
  witness = started.value;
});
afterAll(async () => {
  await witness.stop();
  await dir[Symbol.asyncDispose]();
});

test('a witness cosigns what continues its last, wherever the agent believes it to be', async () => {
  const log = await createKnownLog();
  const first = witnessAnchor();
  expect(await first.publish(await log.publication(3), inTime())).toMatchObject({
    ok: true,
    value: { kind: 'cosignature', anchor: 'witness/w' },
  });
  expect(await first.publish(await log.publication(9), inTime())).toMatchObject({ ok: true });
  // A new process knows nothing of it and asks from 0; one that has crashed asks for the same again.
  const second = witnessAnchor();
  expect(await second.publish(await log.publication(9), inTime())).toMatchObject({ ok: true });
  expect(await second.publish(await log.publication(12), inTime())).toMatchObject({ ok: true });
  expect(await first.publish(await log.publication(20), inTime())).toMatchObject({ ok: true });
  const held = await second.newest?.(await log.publication(20), inTime());
  expect(held).toMatchObject({ ok: true, value: { size: 20n } });
});

test('a witness that is ahead is a rollback, one with another root a fork, and both show the note', async () => {
  const log = await createKnownLog();
  expect(await witnessAnchor().publish(await log.publication(8), inTime())).toMatchObject({
    ok: true,
  });
  const believing = comparing(witnessAnchor(), parseKeys([log.vkey]), false);
  const older = await believing.publish(await log.publication(5), inTime());
  expect(older).toMatchObject({ ok: false, error: { kind: 'conflict_size', held: { size: 8n } } });
  if (!older.ok && 'held' in older.error) expect(older.error.held.note).toContain('\n8\n');
  for (const size of [8, 11]) {
    const fork = await believing.publish(await log.fork(6).publication(size), inTime());
    expect(fork, `size ${size}`).toMatchObject({ ok: false, error: { kind: 'conflict_root' } });
  }
  // The untouched log goes on.
  expect(await believing.publish(await log.publication(11), inTime())).toMatchObject({ ok: true });
  const asked = await believing.newest?.(await log.publication(5), inTime());
  expect(asked).toMatchObject({ ok: true, value: { size: 11n } });
});

interface Liar extends AsyncDisposable {
  readonly url: string;
}

/** Something that answers as a witness would, and not the truth. */
async function startLiar(
  answer: (path: string, body: string) => Promise<[number, string]>,
): Promise<Liar> {
  const server: Server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString();
      const [status, text] = await answer(request.url ?? '', body);
      response.writeHead(status).end(text);
    })();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

test('a witness that lies is refused: another key, an old time, another checkpoint, an invented size', async () => {
  const log = await createKnownLog();
  const other = await createKnownLog();
  const ask = async (body: string): Promise<string> =>
    (await fetch(`${witness.url}/add-checkpoint`, { method: 'POST', body })).text();
  const relay = async (path: string, body: string): Promise<[number, string]> => {
    const told = await fetch(`${witness.url}${path}`, { method: 'POST', body });
    return [told.status, await told.text()];
  };
  let answer = relay;
  await using liar = await startLiar((path, body) => answer(path, body));
  const keys = parseKeys([log.vkey]);
  const publish = async (anchor: Anchor, size: number) =>
    comparing(anchor, keys, false).publish(await log.publication(size), inTime());

  expect(await publish(witnessAnchor(liar.url), 2)).toMatchObject({ ok: true });
  const stranger = createTestLog();
  const wrongKey = stranger.vkey.replace(/^[^+]+/, 'w.example');
  expect(createWitnessAnchor({ name: 'w', url: liar.url, vkey: wrongKey }, Date.now).ok).toBe(
    false,
  );

  answer = async () => [200, await ask(await other.body(0, 3))];
  expect(await publish(witnessAnchor(liar.url), 3)).toMatchObject({
    ok: false,
    error: { kind: 'refused', message: expect.stringContaining('no cosignature') as string },
  });
  answer = relay;
  const later = (): number => Date.now() + 3_600_000;
  expect(await publish(witnessAnchor(liar.url, witness.vkey, later), 2)).toMatchObject({
    ok: false,
    error: { kind: 'refused', message: expect.stringContaining('s from this host') as string },
  });
  // A size with nothing behind it: said without a note, and with one that is not ours, or not ahead.
  const claims: readonly (readonly [string, string])[] = [
    ['conflict_size', ''],
    ['refused', (await createTestLog(log.origin.split('/')[2]).publication(99)).note],
    ['refused', (await log.publication(2)).note],
  ];
  for (const [kind, note] of claims) {
    answer = (path) =>
      Promise.resolve(path === '/add-checkpoint' ? [409, '99\n'] : [note === '' ? 404 : 200, note]);
    expect(await publish(witnessAnchor(liar.url), 2), kind).toMatchObject({
      ok: false,
      error: { kind },
    });
  }
  answer = () => Promise.resolve([200, 'x'.repeat(1_000_000)]);
  expect(await publish(witnessAnchor(liar.url), 2)).toMatchObject({
    ok: false,
    error: { kind: 'refused' },
  });
  answer = () => Promise.resolve([503, '']);
  expect(await publish(witnessAnchor(liar.url), 2)).toMatchObject({
    ok: false,
    error: { kind: 'unreachable' },
  });
  answer = () => new Promise(() => undefined);
  expect(
    await witnessAnchor(liar.url).publish(await log.publication(2), AbortSignal.timeout(100)),
  ).toMatchObject({
    ok: false,
    error: { kind: 'unreachable', message: expect.stringContaining('no answer in time') as string },
  });
});

test('a time-stamp of `openssl ts` is verified in full, and what it is not is refused', async () => {
  await using folder = await makeTempDir();
  await using elsewhere = await makeTempDir();
  await using authority = await startTimestampAuthority(folder.path);
  await using foreign = await startTimestampAuthority(elsewhere.path);
  const log = createTestLog();
  const publication = await log.publication(4);
  const bytes = Buffer.from(publication.note);
  const anchor = createTimestampAnchor({
    name: 't',
    url: authority.url,
    ca_file: authority.caFile,
  });
  const given = await anchor.publish(publication, inTime());
  if (!given.ok || given.value.kind !== 'timestamp') throw new Error(JSON.stringify(given));
  expect(Math.abs(Date.parse(given.value.time) - Date.now())).toBeLessThan(60_000);

  const token = Buffer.from(given.value.token, 'base64');
  const own = await readFile(authority.caFile, 'utf8');
  expect(await verifyToken(token, bytes, own)).toMatchObject({ ok: true });
  expect(await verifyToken(token, Buffer.from(`${publication.note} `), own)).toMatchObject({
    ok: false,
    error: expect.stringContaining('other bytes') as string,
  });
  expect(await verifyToken(token, bytes, await readFile(foreign.caFile, 'utf8'))).toMatchObject({
    ok: false,
  });
  expect(await verifyToken(token, bytes, own, Buffer.alloc(8, 0x41))).toMatchObject({ ok: false });
  let refused = 0;
  for (let at = 0; at < token.length; at += 97) {
    const changed = Buffer.from(token);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    if (!(await verifyToken(changed, bytes, own)).ok) refused += 1;
  }
  expect(refused).toBeGreaterThan(5);

  const { encapContentInfo } = new SignedData({
    schema: ContentInfo.fromBER(Uint8Array.from(token)).content,
  });
  const info = Buffer.from(encapContentInfo.eContent?.getValue() ?? new ArrayBuffer(0));
  const signedByServer = await signAsServer(folder.path, info);
  expect(
    await verifyToken(signedByServer, bytes, own),
    'a certificate of that authority for servers',
  ).toMatchObject({
    ok: false,
    error: expect.stringContaining('not one for time-stamps alone') as string,
  });

  const kept = await (async () => {
    let first: Buffer | null = null;
    authority.lie(async (_, right) => (first ??= await right()));
    expect(await anchor.publish(publication, inTime())).toMatchObject({ ok: true });
    return anchor.publish(publication, inTime());
  })();
  expect(kept, 'an answer to another request').toMatchObject({
    ok: false,
    error: { kind: 'refused', message: expect.stringContaining('another request') as string },
  });
  authority.lie(() => Promise.resolve(Buffer.from('no')));
  expect(await anchor.publish(publication, inTime())).toMatchObject({
    ok: false,
    error: { kind: 'refused' },
  });
  const strict = createTimestampAnchor({ name: 't', url: foreign.url, ca_file: authority.caFile });
  expect(await strict.publish(publication, inTime()), 'of another authority').toMatchObject({
    ok: false,
  });
  expect(anchor.newest).toBeNull();
});
