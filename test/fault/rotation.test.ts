/**
 * A rotation over the real ledger and the real checkpoint stage, whose disk fails at one operation after another;
 * then everything is dropped, as a kill does, and opened again.
 */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLedger } from '../../agent/append/open.ts';
import { startStage, type Stage } from '../../agent/checkpoint/stage.ts';
import type { KeyPorts } from '../../agent/key-ports.ts';
import { openKeyRing, type KeyRing } from '../../agent/key-ring.ts';
import { loadKeys } from '../../agent/keys.ts';
import { createSigner, parseSigningKey, vkeyOf } from '../../agent/signing-key.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { parseKeys, trustOf, type Keys } from '../../ledger/keys-note.ts';
import { maySign, verifyTrusted } from '../../ledger/trust.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { createCountingMeter, silentLog } from '../support/append-stage.ts';
import { createFakeClock, journalOf, SETTINGS } from '../support/checkpoints.ts';
import { createFaultyFilesystem } from '../support/faulty-filesystem.ts';
import { makeMemoryDir } from '../support/ledger.ts';

const LEDGER = {
  segment_bytes: 1 << 20,
  batch_bytes_max: 1 << 18,
  queue_events_max: 100,
  reserve_bytes: 4096,
};

interface Life {
  readonly ring: KeyRing;
  readonly ports: KeyPorts;
  readonly stage: Stage;
  /** Records one more event of the agent, and has it signed. */
  record(): Promise<void>;
  end(): Promise<void>;
}

/** Opens all that an agent opens, as far as keys are concerned. Throws what is against it. */
async function open(dir: string, filesystem: Filesystem): Promise<Life> {
  const [redaction, signing] = ['redaction', 'signing'].map((one) =>
    join(dir, 'keys', `${one}.key`),
  );
  const config = {
    redaction_key_file: redaction ?? '',
    signing_key_file: signing ?? '',
    generate: true,
  };
  const keys = await loadKeys(config, { filesystem });
  if (!keys.ok) throw new Error(keys.error.message);
  const ring = await openKeyRing({
    dataDir: dir,
    agent: 'test',
    config,
    keys: keys.value,
    filesystem,
    warn: () => undefined,
    nowMs: Date.now,
  });
  if (!ring.ok) throw new Error(ring.error);
  const agent = { name: 'test', version: '0', publicKey: ring.value.publicKey() };
  const ledger = await openLedger({
    dir: join(dir, 'ledger'),
    config: LEDGER,
    agent,
    meter: createCountingMeter(),
    log: silentLog,
    nowMs: Date.now,
    onDurable: () => undefined,
    onFailed: () => undefined,
    filesystem,
  });
  if (!ledger.ok) throw new Error(ledger.error);
  const { append, incarnation } = ledger.value;
  await filesystem.makeDir(join(dir, 'checkpoints'));
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = (reason) => reject(new Error(reason))));
  failed.catch((error: unknown) => error);
  const stage = await startStage({
    dir: join(dir, 'checkpoints'),
    ledgerDir: join(dir, 'ledger'),
    filesystem,
    clock: createFakeClock(),
    agent: 'test',
    incarnation,
    blindingKey: Buffer.alloc(32, 7),
    signers: ring.value.signing().map((key) => createSigner('test', key)),
    settings: SETTINGS,
    durable: append.status().records,
    log: silentLog,
    onFailed: fail,
  });
  const ports: KeyPorts = {
    record: (action, resource, metadata) => append.recordOwn(action, 'success', resource, metadata),
    signWith: (those) => stage.signWith(those.map((key) => createSigner('test', key))),
    signAll: () => {
      stage.notifyDurable(append.status().records);
      return Promise.race([stage.signAll(), failed]);
    },
  };
  return {
    ring: ring.value,
    ports,
    stage,
    record: async () => {
      await append.recordOwn('agent.started', 'success', { type: 'agent', id: 'test' }, {});
      await ports.signAll();
    },
    end: async () => {
      await stage.abandon();
      await ledger.value.close();
    },
  };
}

async function allTexts(dir: string): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const paths = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  return new Map(
    await Promise.all(paths.map(async (path) => [path, await readFile(path, 'latin1')] as const)),
  );
}

async function readWindows(dir: string): Promise<Keys> {
  const keys = parseKeys(await readFile(join(dir, 'keys/windows.txt'), 'utf8'));
  if (!keys.ok) throw new Error(keys.error);
  return keys.value;
}

/** Steps of rotations on record: phase, stream and size with it. */
async function rotationsOf(dir: string) {
  const texts = await allTexts(join(dir, 'ledger'));
  const lines = [...texts].flatMap(([path, text]) =>
    path.endsWith('.ndjson') ? text.split('\n').slice(0, -1) : [],
  );
  return lines
    .map((line) => (JSON.parse(line) as SealedRecord).event)
    .filter(({ event }) => event.action === 'key.rotate')
    .map(({ metadata, chain }) => ({
      phase: metadata['phase'],
      stream: chain.stream,
      size: BigInt(chain.seq + 1),
    }));
}

/** A directory with some history under the first key, made once and copied for each trial. */
const template = await makeMemoryDir();
const before = await open(template.path, nodeFilesystem);
await before.record();
await before.record();
await before.end();
const FIRST = before.ring.signing().map((key) => vkeyOf('test', key))[0] ?? '';
const FIRST_KEY = await readFile(join(template.path, 'keys/signing.key'), 'latin1');

async function trial(at: number, tearTo: number): Promise<{ operations: number; hit: boolean }> {
  await using dir = await makeMemoryDir();
  await cp(template.path, dir.path, { recursive: true });
  const faulty = createFaultyFilesystem({ at, code: 'EIO', tearTo });
  let isWhole = false;
  try {
    const life = await open(dir.path, faulty);
    const done = await life.ring.rotate(life.ports);
    isWhole = done.ok;
    await life.end();
  } catch (error) {
    expect(String(error)).toContain('EIO');
  }
  const seen = [...(await journalOf(dir.path))];

  const next = await open(dir.path, nodeFilesystem);
  const isBegun = next.ring.isInterrupted();
  // Where nothing had begun, nothing is different from before.
  if (!isWhole && !isBegun && (await rotationsOf(dir.path)).length === 0)
    expect((await next.ring.report()).current).toBe(FIRST);
  if (isBegun || (await next.ring.report()).current === FIRST)
    expect(await next.ring.rotate(next.ports)).toMatchObject({ ok: true });
  await next.record();
  seen.push(...(await journalOf(dir.path)));
  await next.end();

  const keys = await readWindows(dir.path);
  const { current } = await next.ring.report();
  expect(current).not.toBe(FIRST);
  expect(keys.number).toBe(2);
  const files = await allTexts(dir.path);
  const pem = files.get(join(dir.path, 'keys/signing.key')) ?? '';
  const key = parseSigningKey(pem, 'signing.key');
  expect(key.ok && vkeyOf('test', key.value)).toBe(current);
  for (const name of ['rotation.json', 'signing.key.next'])
    expect(files.has(join(dir.path, 'keys', name)), name).toBe(false);
  const body = FIRST_KEY.split('\n')[1] ?? '';
  for (const [path, text] of files) expect(text.includes(body), path).toBe(false);

  // Every checkpoint that was ever signed still verifies, each under the key whose size it is.
  const trust = trustOf(keys);
  for (const { origin, size, note } of seen) {
    const verified = verifyTrusted(note, origin, trust);
    expect(verified.ok ? 'ok' : verified.error.message).toBe('ok');
    expect(maySign({ vkey: FIRST, name: 'sealtrail/test' }, origin, size, keys.windows)).not.toBe(
      maySign({ vkey: current, name: 'sealtrail/test' }, origin, size, keys.windows),
    );
  }
  expect(
    seen.some(({ note }) => note.split('\u2014').length === 3),
    'both signed',
  ).toBe(true);
  // The record that names the new key is under the old one, and the rotation is told once done.
  const rotations = await rotationsOf(dir.path);
  const begun = rotations.find(({ phase }) => phase === 'begun');
  expect(rotations.at(-1)?.phase).toBe('completed');
  const old = { vkey: FIRST, name: 'sealtrail/test' };
  expect(maySign(old, begun?.stream ?? '', begun?.size ?? 0n, keys.windows)).toBe(true);
  return { operations: faulty.operations.length, hit: !isWhole };
}

test('whatever disk operation fails, and a kill after it: the rotation is completed or never began', async () => {
  const { operations } = await trial(-1, 0);
  expect(operations).toBeGreaterThan(40);
  let missed = 0;
  for (let from = 0; from < operations; from += 8) {
    const ats = Array.from({ length: Math.min(8, operations - from) }, (_, at) => from + at);
    const trials = await Promise.all(ats.map((at) => trial(at, (at * 37) % 150)));
    missed += trials.filter(({ hit }) => !hit).length;
  }
  // The ledger gets over a failed write by itself, in a new segment.
  expect(missed).toBeLessThan(operations / 4);
});

test('a rotation that is asked for again after a failure is the same one', async () => {
  await using dir = await makeMemoryDir();
  await cp(template.path, dir.path, { recursive: true });
  const life = await open(dir.path, nodeFilesystem);
  const refused = { ...life.ports, signAll: () => Promise.reject(new Error('the HSM is away')) };
  expect(await life.ring.rotate(refused)).toEqual({ ok: false, error: 'the HSM is away' });
  const pending = await life.ring.report();
  expect(pending).toMatchObject({ current: FIRST, rotating: true });
  expect(await life.ring.rotate(life.ports)).toMatchObject({
    ok: true,
    value: { current: pending.next, next: null, rotating: false, number: 2 },
  });
  expect((await rotationsOf(dir.path)).map(({ phase }) => phase)).toEqual(['begun', 'completed']);
  await life.end();
});

test('a key that is written down as the one that signs is so before any rotation', async () => {
  await using dir = await makeMemoryDir();
  await cp(template.path, dir.path, { recursive: true });
  const life = await open(dir.path, nodeFilesystem);
  expect(await life.ring.pin()).toMatchObject({ ok: true, value: { current: FIRST, number: 1 } });
  await life.end();
  expect((await readWindows(dir.path)).windows).toMatchObject([{ vkey: FIRST, origin: '*' }]);
  await rm(join(dir.path, 'keys/signing.key'));
  await expect(open(dir.path, nodeFilesystem), 'a key made anew').rejects.toThrow('windows.txt');
});

test('a key file that was changed by hand is refused, and so is a key that comes back', async () => {
  await using dir = await makeMemoryDir();
  await cp(template.path, dir.path, { recursive: true });
  const life = await open(dir.path, nodeFilesystem);
  expect((await life.ring.rotate(life.ports)).ok).toBe(true);
  await life.end();
  const path = join(dir.path, 'keys/signing.key');
  const good = await readFile(path, 'utf8');
  await writeFile(path, FIRST_KEY);
  await expect(open(dir.path, nodeFilesystem)).rejects.toThrow('windows.txt');
  await writeFile(path, good);
  await writeFile(`${path}.next`, FIRST_KEY);
  const again = await open(dir.path, nodeFilesystem);
  expect(await again.ring.rotate(again.ports)).toMatchObject({
    ok: false,
    error: expect.stringContaining('never comes back') as string,
  });
  await again.end();
});
