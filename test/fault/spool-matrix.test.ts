/**
 * The fault matrix over the SDK's spool and its audit_failure channel: each open, write, fsync, rename and unlink in
 * turn fails once, tears, or is the last one before a kill; then another process finds what lies on the disk. What
 * the agent has is compared with what was told: kept is there once, not kept is not there, and nothing is left over.
 */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ulid } from 'ulid';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { canonicalize } from '../../schemas/canonical.ts';
import { createFailureChannel } from '../../sdk/failure-channel.ts';
import { createSpool, type Spool, type SpoolOutcome } from '../../sdk/spool.ts';
import { startAgentPeer, until, type AgentPeer } from '../support/agent-peer.ts';
import { makeEvent } from '../support/events.ts';
import { gateFolder, type FileFault, type GatedFolder } from '../support/failing-files.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { countOf, placesOf } from '../support/operations.ts';
import { idsOf, leaveSpool, spoolFiles } from '../support/spooling.ts';

vi.mock('node:fs/promises', async (original) =>
  (await import('../support/failing-files.ts')).gateFiles(await original()),
);

const GROUPS = [2, 1];
/** What an operation is likely to fail with beside EIO. */
const CODES: Readonly<Record<string, readonly string[]>> = {
  open: ['EIO', 'EMFILE', 'ENOSPC'],
  write: ['EIO', 'ENOSPC'],
  writeFile: ['EIO', 'ENOSPC', 'EMFILE'],
  mkdir: ['EIO', 'ENOSPC'],
  rename: ['EIO', 'ENOSPC'],
  readdir: ['EIO', 'EMFILE'],
};
const KINDS = [
  ...['open', 'write', 'datasync', 'sync', 'mkdir', 'rename', 'rm', 'rmdir'],
  ...['readdir', 'readFile', 'writeFile', 'lstat'],
];

let warnings: string[] = [];
beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)));
});
afterEach(() => void vi.restoreAllMocks());

interface Trial {
  readonly dir: string;
  readonly peer: AgentPeer;
  /** What was told of the events that were spooled. */
  readonly told: Map<string, SpoolOutcome>;
  /** Of a process that is gone: taken, taken, and refused for good. */
  readonly left: readonly string[];
}

function open({ peer }: Trial, dir: string): { readonly spool: Spool; close(): Promise<void> } {
  const channel = createFailureChannel(dir, ulid(), 'test');
  const settings = { dir, bytesMax: 1 << 20, service: 'test', stallMs: 30_000 };
  const { socketPath } = peer;
  const spool = createSpool({ ...settings, socketPath }, channel, () => undefined);
  return {
    spool,
    close: async () => {
      await spool.close();
      await channel.close();
    },
  };
}

/** A process: it finds a folder that was left behind, spools events, has them drained, and ends in order. */
async function live(trial: Trial, gate: GatedFolder): Promise<void> {
  const { spool, close } = open(trial, trial.dir);
  try {
    for (const count of GROUPS) {
      const events = Array.from({ length: count }, () => makeEvent({ event_id: ulid() }));
      await Promise.all(events.map((event) => append(spool, event, trial.told)));
    }
    // Whatever is not drained is told, or is not kept.
    const isDone = (): boolean => warnings.length > 0 || isDrained(trial) || gate.isOver();
    await until(isDone, 'the spool to be drained, or a word');
  } finally {
    await close();
  }
}

async function append(
  spool: Spool,
  event: ReturnType<typeof makeEvent>,
  told: Trial['told'],
): Promise<void> {
  const bytes = Buffer.from(canonicalize(event));
  const outcome = await new Promise<SpoolOutcome>((done) =>
    spool.append({ bytes, start: 0, end: bytes.length }, done),
  );
  told.set(event.event_id, outcome);
}

function isDrained({ peer, told, left, dir }: Trial): boolean {
  const kept = [...told].flatMap(([id, { ok }]) => (ok ? [id] : []));
  const sent = idsOf(peer);
  const isSent = [...kept, ...left.slice(0, 2)].every((id) => sent.includes(id));
  return isSent && existsSync(join(dir, 'set-aside'));
}

/** The folder as the next process finds it: no lock is refreshed any more, and no owner lives. */
function copyOf(dir: string): string {
  const copy = `${dir}-later`;
  cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('.lock') });
  for (const name of readdirSync(copy, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('owner.json') && readFileSync(join(copy, name), 'utf8').endsWith('}'))
      writeFileSync(join(copy, name), '{"pid":1,"host":"gone","started":"1"}');
  return copy;
}

async function expectAllThere(trial: Trial, what: string): Promise<void> {
  const { peer, told, left } = trial;
  const copy = copyOf(trial.dir);
  const { close } = open(trial, copy);
  const lying = (): string[] =>
    spoolFiles(copy).filter((path) => !dirname(path).endsWith('set-aside'));
  await until(() => lying().length === 0, `${what}: the next process to drain what is left`);
  await close();
  const sent = idsOf(peer);
  expect(new Set(sent).size, `${what}: sent once`).toBe(sent.length);
  for (const [id, outcome] of told) {
    if (outcome.ok) expect(sent, `${what}: told to be kept`).toContain(id);
    else if (outcome.mayBeKept !== true) expect(sent, `${what}: told to be lost`).not.toContain(id);
  }
  expect(sent, what).toEqual(expect.arrayContaining(left.slice(0, 2)));
  expect(sent, what).not.toContain(left[2]);
  expect(readdirSync(join(copy, 'set-aside')), `${what}: set aside`).toHaveLength(1);
  const channel = readdirSync(copy)
    .filter((name) => name.startsWith('audit_failure-'))
    .map((name) => readFileSync(join(copy, name), 'utf8'));
  if (!warnings.some((text) => text.includes('audit_failure channel')))
    expect(channel.join(), what).toMatch(`"kind":"spool_refused","event_id":"${left[2]}"`);
}

/** One trial; resolves with the operations of the process to which it happened. */
async function attempt(fault: FileFault | null): Promise<readonly string[]> {
  await using temp = await makeMemoryDir();
  warnings = [];
  const dir = join(temp.path, 'spool');
  const left = leaveSpool(dir, 3).ids;
  const peer = await startAgentPeer({
    refuse: ({ text }) =>
      text.includes(left[2] ?? '') ? { kind: 'unknown_tenant', message: 'unknown' } : null,
  });
  try {
    const trial: Trial = { dir, peer, left, told: new Map() };
    await using gate = gateFolder(dir, fault);
    const living = live(trial, gate).catch((error: unknown) => {
      expect(String(error)).toMatch(/injected|killed/);
    });
    await Promise.race([living, gate.killed]);
    const operations = [...gate.operations];
    await expectAllThere(trial, JSON.stringify(fault));
    await gate[Symbol.asyncDispose]();
    await living;
    return operations;
  } finally {
    await peer.close();
  }
}

test('whichever operation of the spool fails once, or tears, what is told of an event is true of it', async () => {
  const operations = await attempt(null);
  expect(operations).toEqual(expect.arrayContaining(KINDS));
  const hit = new Set<string>();
  for (const { name, nth } of placesOf(operations)) {
    for (const code of CODES[name] ?? ['EIO']) {
      for (const isTorn of name.startsWith('write') ? [false, true] : [false]) {
        const done = await attempt({ name, nth, kind: 'fails', code, isTorn });
        if (countOf(done, name) > nth) hit.add(name);
      }
    }
  }
  expect([...hit]).toEqual(expect.arrayContaining(KINDS));
});

test('a kill right after any operation of the spool, or in the middle of a write, loses and doubles nothing', async () => {
  const operations = await attempt(null);
  for (const { name, nth } of placesOf(operations)) {
    for (const isTorn of name.startsWith('write') ? [false, true] : [false])
      await attempt({ name, nth, kind: 'is the last one', isTorn });
  }
});
