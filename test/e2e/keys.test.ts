/** The life of an agent's keys: a root, rotations while it runs, when it is stopped and when it is killed, a KMS. */
import { createPrivateKey } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { proveEvent } from '../../agent/checkpoint/proving.ts';
import type { PrintedReport } from '../../agent/key-routes.ts';
import { readRootKey, signKeysNote } from '../../cli/root-key.ts';
import { readTrust } from '../../cli/trust-file.ts';
import { signNote } from '../../ledger/note.ts';
import { verifyProof } from '../../ledger/proof-file.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { customerRead, recordOneEvent } from '../support/record-one-event.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';
import { writeSigner } from '../support/signer.ts';

let agent: AgentProcess;
/** A machine of its own: the root key, the keys notes, the proofs. */
let vault: Awaited<ReturnType<typeof makeTempDir>>;
beforeAll(async () => {
  agent = await startAgentProcess({
    exporters: {},
    config: { checkpoints: { interval_ms: 20, anchor_interval_ms: 1_000 } },
  });
  vault = await makeTempDir();
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await vault[Symbol.asyncDispose]();
});

const at = (name: string): string => join(vault.path, name);
const inKeys = (name: string): string => join(agent.dir, 'keys', name);

async function cli(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args);
  expect(code, `${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

/** Records an event, and writes its proof once it is anchored. */
async function proveOne(name: string): Promise<void> {
  const eventId = await recordOneEvent(agent, customerRead(name));
  await eventually(async () => {
    const proof = await proveEvent(agent.dir, eventId);
    if (!proof.ok) throw new Error(proof.error);
    expect((JSON.parse(proof.value) as { anchor: unknown }).anchor).not.toBeNull();
    await writeFile(at(name), proof.value);
  });
}

/** What `sealtrail check` does, without the process. */
async function check(name: string, note: string): Promise<string> {
  const trust = await readTrust(at(note), at('root.pub'));
  if (!trust.ok) throw new Error(trust.error);
  const proven = verifyProof(await readFile(at(name), 'utf8'), trust.value);
  return proven.ok ? 'proven' : `${proven.error.kind}: ${proven.error.message}`;
}

async function rotate(...more: readonly string[]): Promise<PrintedReport> {
  const out = await cli('keys', 'rotate', '--json', '-c', agent.configFile, ...more);
  return JSON.parse(out) as PrintedReport;
}

/** What `sealtrail keys sign-note` does, without the process. */
async function signNext(note: string, previous: string): Promise<void> {
  const root = await readRootKey(at('root.key'));
  if (!root.ok) throw new Error(root.error);
  const text = await readFile(inKeys('windows.txt'), 'utf8');
  const signed = await signKeysNote({
    text,
    root: root.value,
    previous: await readFile(at(previous), 'utf8'),
  });
  if (!signed.ok) throw new Error(signed.error);
  await writeFile(at(note), signed.value);
}

test('a root key is made once, for its owner alone, and used only while nobody else can read it', async () => {
  const root = await cli('keys', 'init', '--root', at('root.key'), '--name', 'acme/root');
  await writeFile(at('root.pub'), root);
  expect((await stat(at('root.key'))).mode & 0o777).toBe(0o600);
  expect((await runCli(['keys', 'init', '--root', at('root.key')])).code).toBe(2);
  await cli('keys', 'init', '--root', at('stranger.key'), '--name', 'acme/root');
});

test('what v1 signed is proven after v2 and v3; what a newer key signs for an older size is refuted', async () => {
  await proveOne('v1.proof');
  // Running: the root is on another machine.
  const first = await rotate();
  expect(first).toMatchObject({ number: 2, rotating: false, next: null });
  const signing = ['keys', 'sign-note', inKeys('windows.txt'), '--root-key', at('root.key')];
  await cli(...signing, '--first', '--out', at('2.note'));
  expect((await runCli(signing)).code, 'which note was before must be said').toBe(2);
  await proveOne('v2.proof');
  // Running: told before, and signed with the root at once.
  const { next } = JSON.parse(
    await cli('keys', 'rotate', '--prepare', '--json', '-c', agent.configFile),
  ) as PrintedReport;
  const withRoot = ['--root-key', at('root.key'), '--note', at('3.note')];
  const unsaid = await runCli(['keys', 'rotate', '-c', agent.configFile, ...withRoot]);
  expect([unsaid.code, unsaid.stderr]).toEqual([2, expect.stringContaining('--previous')]);
  const missing = ['--first', '--previous', at('nowhere.note')];
  const refused = await runCli(['keys', 'rotate', '-c', agent.configFile, ...withRoot, ...missing]);
  expect([refused.code, refused.stderr]).toEqual([
    2,
    `keys rotate: --previous: ${at('nowhere.note')} is not there: name the note that was signed last, or, where none was, say --first alone\n`,
  ]);
  const second = await rotate(...withRoot, '--previous', at('2.note'));
  expect(second).toMatchObject({ number: 3, current: next });
  await proveOne('v3.proof');

  for (const name of ['v1.proof', 'v2.proof', 'v3.proof'])
    expect(await check(name, '3.note')).toBe('proven');
  expect(await check('v1.proof', '2.note')).toBe('proven');
  expect(await check('v3.proof', '2.note'), 'not known to the older note').toMatch('cannot_tell');
  const trust = ['check', at('v1.proof'), '--trust', at('3.note')];
  await cli(...trust, '--root', at('root.pub'));
  const [stranger, alone] = [
    await runCli([...trust, '--root', at('stranger.key')]),
    await runCli(trust),
  ];
  expect(stranger.code, 'another root').toBe(2);
  expect(alone).toMatchObject({ code: 2, stdout: expect.stringContaining('--root') as string });

  // Whoever holds v3 seals the history of v1 again.
  const key = createPrivateKey(await readFile(inKeys('signing.key'), 'utf8'));
  const v3 = createLogSigner('sealtrail/test', publicBytesOf(key), signWithKey(key));
  expect(v3.vkey).toBe(second.current);
  const proof = JSON.parse(await readFile(at('v1.proof'), 'utf8')) as { checkpoint: string };
  const [text = ''] = proof.checkpoint.split('\n\n');
  await writeFile(
    at('forged.proof'),
    JSON.stringify({ ...proof, checkpoint: await signNote(`${text}\n`, [v3]) }),
  );
  expect(await check('forged.proof', '3.note')).toMatch(/^invalid: .*window/);
});

test('both rotations are in the trail, under the key before, and bind the windows', async () => {
  const said = (await readRecords(join(agent.dir, 'ledger')))
    .filter(({ event }) => event.event.action === 'key.rotate')
    .map(({ event }) => event.metadata);
  expect(said.map(({ phase }) => phase)).toEqual(['begun', 'completed', 'begun', 'completed']);
  const listed = JSON.parse(await cli('keys', 'list', '--json', '-d', agent.dir)) as {
    keys: { vkey: string; state: string }[];
  };
  expect(listed.keys.map(({ state }) => state)).toEqual(['replaced', 'replaced', 'current']);
  expect(said.map(({ to }) => to)).toEqual([1, 1, 2, 2].map((n) => listed.keys[n]?.vkey));
  // Without a root the lines themselves are a trust file.
  await writeFile(at('keys.txt'), await cli('keys', 'list', '-d', agent.dir));
  await cli('check', at('v1.proof'), '--trust', at('keys.txt'));
});

test('a rotation of a stopped agent, and those that kill -9 cuts off, are complete after the next start', async () => {
  const init = ['keys', 'init', '-c', agent.configFile, '--json'];
  expect((await runCli(init)).code, 'its directory is taken').toBe(2);
  await agent.stop();
  expect(JSON.parse(await cli(...init))).toMatchObject({ number: 3, rotating: false });
  expect((await rotate()).number).toBe(4);
  await agent.start();
  let number = 4;
  const NEXT = 'signing.key.next';
  // Two moments behind the first sign of it; which step that is differs from run to run.
  for (const waitMs of [0, 60]) {
    const asked = runCli(['keys', 'rotate', '-d', agent.dir]);
    let isOver = false;
    void asked.then(() => (isOver = true));
    // As soon as it has begun, and a little later; on a machine that stood still it may be over.
    await expect
      .poll(async () => isOver || (await readdir(join(agent.dir, 'keys'))).includes(NEXT), {
        interval: 1,
      })
      .toBe(true);
    await new Promise((resume) => setTimeout(resume, waitMs));
    await agent.kill();
    await asked;
    await agent.start();
    await expect.poll(async () => readdir(join(agent.dir, 'keys'))).not.toContain('rotation.json');
    // Killed before it had begun it is begun by asking again, under the key that lies there.
    const prepared = (await readdir(join(agent.dir, 'keys'))).includes(NEXT);
    if (prepared) await rotate();
    number += 1;
  }
  await signNext('6.note', '3.note');
  expect(await readFile(at('6.note'), 'utf8')).toContain(`sealtrail/test ${number}\n`);
  await proveOne('v6.proof');
  for (const name of ['v1.proof', 'v2.proof', 'v3.proof', 'v6.proof'])
    expect(await check(name, '6.note')).toBe('proven');
  expect((await readdir(join(agent.dir, 'keys'))).sort()).toEqual([
    'redaction.key',
    'signing.key',
    'windows.txt',
  ]);
});

test('a revoked key is refused, and the message says on what trust rests then', async () => {
  const { keys } = JSON.parse(await cli('keys', 'list', '--json', '-d', agent.dir)) as {
    keys: { vkey: string }[];
  };
  const [v1, current] = [keys[0]?.vkey ?? '', keys.at(-1)?.vkey ?? ''];
  const reason = ['--reason', 'a backup was stolen', '-c', agent.configFile];
  const refused = await runCli(['keys', 'revoke', current, ...reason]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^keys revoke: the key signs now; .*`sealtrail keys rotate`/);
  await cli('keys', 'revoke', v1.split('+')[1] ?? '', ...reason);
  await signNext('7.note', '6.note');
  expect(await check('v1.proof', '7.note')).toMatch(/^cannot_tell: .*revoked.*cosignatures/);
  expect(await check('v2.proof', '7.note')).toBe('proven');
  // Taken back, the revocation is not signed.
  const older = (await readFile(at('6.note'), 'utf8')).split('\n\n')[0] ?? '';
  await writeFile(at('back.txt'), `${older}\n`.replace(/ 6\n/, ' 9\n'));
  const key = ['--root-key', at('root.key'), '--previous', at('7.note')];
  const back = await runCli(['keys', 'sign-note', at('back.txt'), ...key]);
  expect(back).toMatchObject({ code: 1, stderr: expect.stringContaining('revoked') as string });
});

test('a key behind a command takes over; when the command fails nothing is signed, and no other key stands in', async () => {
  const { command, publicKey } = await writeSigner(
    vault.path,
    `if ((await import('node:fs')).existsSync(${JSON.stringify(at('away'))})) process.exit(7); sign(bytes)`,
  );
  const config = JSON.parse(await readFile(agent.configFile, 'utf8')) as Record<string, unknown>;
  const public_key = Buffer.from(publicKey).toString('base64');
  const keys = { next: { signer: { command, public_key, timeout_ms: 30_000 } } };
  await agent.stop();
  await writeFile(agent.configFile, JSON.stringify({ ...config, keys }));
  await agent.start();
  const { current } = await rotate();
  expect(current).toContain('sealtrail/test+');
  // The windows say which of the two keys of the configuration signs.
  await agent.stop();
  await agent.start();
  await proveOne('kms.proof');
  await signNext('8.note', '7.note');
  expect(await check('kms.proof', '8.note')).toBe('proven');

  await writeFile(at('away'), '');
  const before = await agent.status();
  await expect
    .poll(async () => (await agent.status()).checkpoints)
    .toMatchObject({ state: 'retrying', last_error: expect.stringContaining('code 7') as string });
  expect((await agent.status()).append.records).toBeGreaterThanOrEqual(before.append.records);
});
