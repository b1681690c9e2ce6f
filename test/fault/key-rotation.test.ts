/** A rotation whose every disk operation fails in turn: asked again, or started again, one key signs and the windows adjoin. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadKeys } from '../../agent/keys.ts';
import { openKeyRing, type KeyRing } from '../../agent/key-ring.ts';
import type { KeyPorts } from '../../agent/key-ports.ts';
import { vkeyOf } from '../../agent/signing-key.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { currentKey, parseKeys } from '../../ledger/keys-note.ts';
import { windowsPath } from '../../agent/key-files.ts';
import { createFaultyFilesystem } from '../support/faulty-filesystem.ts';
import { makeTempDir } from '../support/ledger.ts';

const ORIGIN = 'sealtrail/test/inc';

interface Life {
  readonly ring: KeyRing;
  /** What was recorded, and how many keys signed at the end. */
  readonly said: string[];
  readonly ports: KeyPorts;
  signers(): number;
}

async function open(dir: string, filesystem: Filesystem): Promise<Life> {
  const config = {
    redaction_key_file: join(dir, 'keys', 'redaction.key'),
    signing_key_file: join(dir, 'keys', 'signing.key'),
    generate: true,
  };
  const isKeyKnown = await nodeFilesystem.exists(windowsPath(dir));
  const keys = await loadKeys(config, { isKeyKnown, filesystem });
  if (!keys.ok) throw new Error(keys.error.message);
  const ring = await openKeyRing({
    ...{ dataDir: dir, agent: 'test', config, keys: keys.value, filesystem },
    warn: (message) => {
      throw new Error(message);
    },
    nowMs: () => 0,
  });
  if (!ring.ok) throw new Error(ring.error);
  const said: string[] = [];
  let signers = ring.value.signing().length;
  const ports: KeyPorts = {
    record: (action, _, metadata) => {
      said.push(`${action} ${String(metadata['phase'])}`);
      return Promise.resolve(true);
    },
    signWith: (some) => (signers = some.length),
    signAll: () => Promise.resolve(new Map([[ORIGIN, 40n]])),
  };
  return { ring: ring.value, said, ports, signers: () => signers };
}

/** The rotation is whole: one key, in its file, and the windows of both. */
async function expectRotated(dir: string, first: string, again: Life): Promise<void> {
  const fresh = await open(dir, nodeFilesystem);
  const report = await fresh.ring.report();
  expect(report).toMatchObject({ rotating: false, next: null, number: 2 });
  expect(report.current).not.toBe(first);
  expect(fresh.ring.signing().map((key) => vkeyOf('test', key))).toEqual([report.current]);
  expect(again.signers()).toBe(1);
  const text = (await nodeFilesystem.readFile(windowsPath(dir))).toString();
  const keys = parseKeys(text);
  if (!keys.ok) throw new Error(keys.error);
  expect(currentKey(keys.value)).toBe(report.current);
  expect(keys.value.windows.map(({ vkey, origin, from, to }) => [vkey, origin, from, to])).toEqual([
    [first, ORIGIN, 0n, 41n],
    [report.current, ORIGIN, 41n, null],
    [report.current, '*', 0n, null],
  ]);
}

async function trial(at: number, how: 'asked again' | 'started again'): Promise<number> {
  await using dir = await makeTempDir();
  const before = await open(dir.path, nodeFilesystem);
  const { current } = await before.ring.report();
  const faulty = createFaultyFilesystem({ at, code: 'EIO' });
  const life = await open(dir.path, faulty);
  const done = await life.ring.rotate(life.ports);
  expect(done.ok, `operation ${at}`).toBe(at === -1 || at >= faulty.operations.length);
  const again = how === 'asked again' ? life : await open(dir.path, nodeFilesystem);
  // Before the rotation is on disk nothing has changed, and it is asked for anew; with its last step it is over.
  const { number } = await again.ring.report();
  if (!done.ok && (again.ring.isInterrupted() || number === 1)) {
    const finished = await again.ring.rotate(again.ports);
    expect(finished, `operation ${at}, ${how}`).toMatchObject({ ok: true });
  }
  const all = [...new Set([...life.said, ...again.said])];
  expect(all).toEqual(['key.rotate begun', 'key.rotate completed']);
  await expectRotated(dir.path, current, done.ok ? life : again);
  return faulty.operations.length;
}

test('whatever operation of a rotation fails, it is completed by asking again and by the next start', async () => {
  const operations = await trial(-1, 'asked again');
  expect(operations).toBeGreaterThan(15);
  // Most of a trial waits for the disk: several at a time.
  for (let from = 0; from < operations; from += 8) {
    const ats = Array.from({ length: Math.min(8, operations - from) }, (_, at) => from + at);
    await Promise.all(ats.flatMap((at) => [trial(at, 'asked again'), trial(at, 'started again')]));
  }
});
