/** The witness as another program sees it: the real process over HTTP, killed and started again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWitness } from '../../../agent/witness.ts';
import { createCosigning } from '../../../agent/witness/cosigning.ts';
import { readSubmission } from '../../../agent/witness/decide.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { openNote } from '../../../ledger/note.ts';
import { parseVkey, readTime, type NoteVerifier } from '../../../ledger/signing.ts';
import { parseTrust } from '../../../ledger/trust.ts';
import { parseCheckpoint } from '../../../ledger/checkpoint.ts';
import { CLI } from '../../support/agent-process.ts';
import { silentLog } from '../../support/append-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { createTestLog, originHash, type TestLog } from '../../support/witness.ts';

interface Process {
  readonly url: string;
  readonly key: NoteVerifier;
  kill(): Promise<void>;
  stop(): Promise<number | null>;
}

let dir: Awaited<ReturnType<typeof makeTempDir>>;
let witness: Process;
const logs: TestLog[] = [];

async function startProcess(): Promise<Process> {
  const child: ChildProcess = spawn(
    process.execPath,
    [CLI, 'witness', '-d', join(dir.path, 'witness'), '--trust', join(dir.path, 'keys.txt')].concat(
      ['--listen', '127.0.0.1:0', '--name', 'witness.example/w1'],
    ),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await eventually(() => expect(output).toMatch(/^witness\.example\/w1\+/m));
  const [, url = ''] = /ready at (\S+)/.exec(output) ?? [];
  const key = parseVkey(/^witness\.example\/w1\+\S+/m.exec(output)?.[0] ?? '');
  if (!key.ok) throw new Error(key.error);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.exitCode;
  };
  return {
    url,
    key: key.value,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}

/** A log that the witness knows from now on. */
async function createKnownLog(): Promise<TestLog> {
  const log = createTestLog();
  logs.push(log);
  await writeFile(join(dir.path, 'keys.txt'), logs.map(({ vkey }) => `${vkey}\n`).join(''));
  return log;
}

const post = (body: string, at = witness): Promise<Response> =>
  fetch(`${at.url}/add-checkpoint`, { method: 'POST', body });

beforeAll(async () => {
  dir = await makeTempDir();
  await createKnownLog();
  witness = await startProcess();
});
afterAll(async () => {
  await witness.stop();
  await dir[Symbol.asyncDispose]();
});

test('a checkpoint that continues the last one is cosigned, with the time, and served as a whole note', async () => {
  const log = await createKnownLog();
  for (const [old, size] of [
    [0, 3],
    [3, 8],
    [8, 8],
    [8, 21],
  ] as const) {
    const answer = await post(await log.body(old, size));
    const line = await answer.text();
    expect(answer.status, line).toBe(200);
    const { note } = await log.publication(size);
    const opened = openNote(`${note}${line}`, [witness.key]);
    if (!opened.ok) throw new Error(opened.error.message);
    const stated = Number(readTime(opened.value.verified[0]?.bytes ?? Buffer.alloc(8)));
    expect(Math.abs(stated - Date.now() / 1000)).toBeLessThan(60);
    const kept = await (await fetch(`${witness.url}/${originHash(log.origin)}/checkpoint`)).text();
    expect(kept).toBe(`${note}${line}`);
  }
  expect((await fetch(`${witness.url}/healthz`)).status).toBe(200);
});

test('what the protocol says to refuse is refused, with its status, and changes nothing', async () => {
  const log = await createKnownLog();
  expect((await post(await log.body(0, 8))).status).toBe(200);
  const stranger = createTestLog();
  const good = await log.body(8, 12);
  const fork = log.fork(4);
  const proofless = good.replace(/^old 8\n(.+\n)+\n/, 'old 8\n\n');
  expect(proofless).not.toBe(good);
  const refused: readonly (readonly [string, string, number])[] = [
    ['no request', 'hello', 400],
    ['an old size with a leading zero', good.replace('old 8', 'old 08'), 400],
    ['an old size beyond the checkpoint', good.replace('old 8', 'old 13'), 400],
    [
      '64 lines of proof',
      good.replace('old 8\n', `old 8\n${`${'A'.repeat(43)}=\n`.repeat(64)}`),
      400,
    ],
    ['another origin', good.replace('\n\nsealtrail/test', '\n\nsealtrail/other'), 404],
    [
      'an origin that only begins like a name',
      good.replace('\n\nsealtrail/test', '\n\nsealtrail/test2'),
      404,
    ],
    ['a stranger who has the name', await stranger.body(0, 3), 403],
    ['a signature that is wrong', good.replace(/\n12\n/, '\n13\n'), 403],
    ['from another size than the last', await log.body(4, 12), 409],
    ['a smaller checkpoint', await log.body(2, 4), 409],
    ['without its proof', proofless, 422],
    ['a fork, larger', await fork.body(8, 12), 422],
    ['a fork of the same size', await fork.body(8, 8), 422],
    [
      'a proof where there is none to give',
      (await log.body(8, 8)).replace('old 8\n', `old 8\n${'A'.repeat(43)}=\n`),
      422,
    ],
    ['a body without end', 'x'.repeat(1_000_000), 413],
  ];
  for (const [what, body, status] of refused) {
    const answer = await post(body);
    expect(answer.status, what).toBe(status);
    const text = await answer.text();
    if (status !== 409) continue;
    expect(text, what).toBe('8\n');
    expect(answer.headers.get('content-type')).toBe('text/x.tlog.size');
  }
  expect((await fetch(`${witness.url}/add-checkpoint`)).status).toBe(405);
  expect((await fetch(`${witness.url}/${'0'.repeat(64)}/checkpoint`)).status).toBe(404);
  expect((await post(good)).status).toBe(200);
});

test('of many that come at once and continue the same checkpoint, differently, one is cosigned', async () => {
  const log = await createKnownLog();
  expect((await post(await log.body(0, 4))).status).toBe(200);
  const bodies = await Promise.all(
    Array.from({ length: 12 }, (_, at) => log.fork(4 + (at % 3)).body(4, 6 + (at % 4))),
  );
  const answers = await Promise.all(bodies.map((body) => post(body)));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect(
    statuses.filter((status) => status !== 200).every((one) => one === 409 || one === 422),
  ).toBe(true);
});

test('what it has cosigned it remembers, whenever it is killed', async () => {
  const log = await createKnownLog();
  let known = 0;
  for (let round = 1; round <= 3; round += 1) {
    // Killed while an answer is under way: the client cannot know whether it was stored.
    const posts = (async () => {
      for (;;) {
        const answer = await post(await log.body(known, known + 1));
        expect([200, 409]).toContain(answer.status);
        known = answer.status === 200 ? known + 1 : Number(await answer.text());
      }
    })().catch((error: unknown) => error);
    await eventually(() => expect(known).toBeGreaterThan(round * 4), 1);
    await witness.kill();
    await posts;
    const { key } = witness;
    witness = await startProcess();
    expect(witness.key.vkey).toBe(key.vkey);
    const asked = await post(await log.body(0, 1));
    expect(asked.status).toBe(409);
    const kept = Number(await asked.text());
    // Nothing that was said is forgotten; one more may be stored than was said.
    expect(kept - known).toBeGreaterThanOrEqual(0);
    expect(kept - known).toBeLessThanOrEqual(1);
    known = kept;
    expect((await post(await log.fork(0).body(known, known + 1))).status).toBe(422);
  }
});

test('the answer waits for the disk: while storing fails nothing is cosigned and the last stays', async () => {
  await using folder = await makeTempDir();
  const log = createTestLog();
  const trust = parseTrust(log.vkey);
  if (!trust.ok) throw new Error(trust.error);
  let isFull = false;
  const cosigning = createCosigning({
    dir: folder.path,
    filesystem: {
      ...nodeFilesystem,
      replace: (path, bytes) =>
        isFull
          ? Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
          : nodeFilesystem.replace(path, bytes),
    },
    signer: {
      ...witness.key,
      sign: () => Promise.resolve(Buffer.alloc(72)),
    },
  });
  const ask = async (old: number, size: number) => {
    const submission = readSubmission(await log.body(old, size), trust.value);
    if (!submission.ok) throw new Error(submission.error.message);
    return cosigning.cosign(submission.value);
  };
  expect(await ask(0, 2)).toMatchObject({ ok: true });
  isFull = true;
  await expect(ask(2, 3)).rejects.toThrow('ENOSPC');
  isFull = false;
  expect(await ask(0, 3)).toMatchObject({ ok: false, error: { status: 409, message: '2\n' } });
  expect(await ask(2, 3)).toMatchObject({ ok: true });
  // A memory that is damaged is not taken for none.
  const [name = ''] = await readdir(folder.path);
  await writeFile(join(folder.path, name), 'nothing');
  await expect(ask(0, 4)).rejects.toThrow('damaged');
});

test('its key is its own, its folder one process only, and beyond loopback it speaks TLS', async () => {
  await using folder = await makeTempDir();
  const log = createTestLog();
  const trustFile = join(folder.path, 'keys.txt');
  await writeFile(trustFile, log.vkey);
  const options = {
    dataDir: join(folder.path, 'w'),
    listen: '127.0.0.1:0',
    trustFile,
    name: 'w.example',
    log: silentLog,
  };
  const open = await startWitness({ ...options, listen: '0.0.0.0:0' });
  expect(open).toMatchObject({ ok: false, error: expect.stringContaining('--tls-cert') as string });
  const started = await startWitness(options);
  if (!started.ok) throw new Error(started.error);
  expect((await stat(join(options.dataDir, 'witness.key'))).mode & 0o777).toBe(0o600);
  expect(await startWitness(options)).toMatchObject({ ok: false });
  await started.value.stop();
  const renamed = await startWitness({ ...options, name: 'other.example' });
  expect(renamed).toMatchObject({
    ok: false,
    error: expect.stringContaining('w.example') as string,
  });
  await rm(join(options.dataDir, 'witness.key'));
  expect(await startWitness(options)).toMatchObject({ ok: false });
  expect(await readFile(join(options.dataDir, 'witness.vkey'), 'utf8')).toBe(
    `${started.value.vkey}\n`,
  );
});

test('a tree without leaves has one root, and a checkpoint of size 0 may stand first', async () => {
  const log = await createKnownLog();
  const body = await log.body(0, 0);
  const empty = parseCheckpoint(body.slice(body.indexOf('\n\n') + 2).split('\n\n')[0] + '\n');
  expect(empty?.size).toBe(0n);
  expect((await post(body)).status).toBe(200);
  expect((await post(await log.body(0, 2))).status).toBe(200);
  expect((await post(await log.body(0, 0))).status).toBe(409);
});
