/** Rounds with a clock that the test moves: quorum, retries, and what is believed. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Anchor, AnchorFailure } from '../../../agent/checkpoint/anchors/anchor.ts';
import {
  createEvidenceFile,
  readEvidence,
} from '../../../agent/checkpoint/anchors/evidence-file.ts';
import { createRounds, type Rounds } from '../../../agent/checkpoint/anchors/rounds.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { silentLog } from '../../support/append-stage.ts';
import { createFakeClock, type FakeClock } from '../../support/checkpoints.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { createTestLog, type TestLog } from '../../support/witness.ts';

interface Scripted extends Anchor {
  /** Sizes that were published to it. */
  readonly sizes: bigint[];
  /** What it answers from now on; null: it takes everything. */
  failure: AnchorFailure | 'silent' | null;
}

function scripted(name: string): Scripted {
  const anchor: Scripted = {
    name,
    sizes: [],
    failure: null,
    newest: null,
    publish: ({ checkpoint }, signal) => {
      anchor.sizes.push(checkpoint.size);
      const { failure } = anchor;
      if (failure === 'silent')
        return new Promise((settle) =>
          signal.addEventListener('abort', () =>
            settle({ ok: false, error: { kind: 'unreachable', message: 'no answer in time' } }),
          ),
        );
      const time = '2026-03-01T00:00:00.000Z';
      return Promise.resolve(
        failure === null
          ? { ok: true, value: { kind: 'copy', anchor: name, time, place: name } }
          : { ok: false, error: failure },
      );
    },
    close: () => Promise.resolve(),
  };
  return anchor;
}

interface Run extends AsyncDisposable {
  readonly dir: string;
  readonly clock: FakeClock;
  readonly log: TestLog;
  readonly rounds: Rounds;
  readonly conflicts: string[];
  offer(size: number): Promise<void>;
}

async function begin(
  anchors: readonly Anchor[],
  quorum: number,
  heard = new Set<string>(),
): Promise<Run> {
  const folder = await makeTempDir();
  await mkdir(join(folder.path, 'anchor'));
  const clock = createFakeClock();
  const log = createTestLog();
  const conflicts: string[] = [];
  const rounds = createRounds({
    anchors,
    config: { quorum, timeout_ms: 10_000, retry: { initial_ms: 1_000, max_ms: 4_000 } },
    evidence: createEvidenceFile(nodeFilesystem, folder.path),
    clock,
    random: () => 0.999,
    log: silentLog,
    heard,
    onConflict: (_, reason) => void conflicts.push(reason),
    onFailed: (reason) => {
      throw new Error(reason);
    },
  });
  return {
    dir: folder.path,
    clock,
    log,
    rounds,
    conflicts,
    offer: async (size) => rounds.offer(await log.publication(size)),
    [Symbol.asyncDispose]: async () => {
      const stopped = rounds.stop(0);
      clock.advance(0);
      await stopped;
      await folder[Symbol.asyncDispose]();
    },
  };
}

const DOWN: AnchorFailure = { kind: 'unreachable', message: 'down' };

test('a checkpoint is anchored once a quorum has it, and a dead anchor waits for nobody', async () => {
  const [one, two, dead] = [scripted('one'), scripted('two'), scripted('dead')];
  dead.failure = 'silent';
  await using run = await begin([one, two, dead], 2);
  expect(run.rounds.status()).toMatchObject({ quorum: 2, quorum_size: 0, quorum_at: null });
  two.failure = DOWN;
  await run.offer(3);
  run.clock.advance(10_000);
  await run.rounds.settled();
  expect(run.rounds.status().quorum_at, 'one of three is no quorum').toBeNull();
  two.failure = null;
  await run.offer(5);
  run.clock.advance(10_000);
  await run.rounds.settled();
  expect(run.rounds.status()).toMatchObject({ quorum_size: 5 });
  expect(run.rounds.status().members.map(({ name, state }) => [name, state])).toEqual([
    ['one', 'taking'],
    ['two', 'taking'],
    ['dead', 'failing'],
  ]);
  const kept = await readEvidence(nodeFilesystem, run.dir, run.log.origin.split('/')[2] ?? '');
  expect(
    kept.map(({ size, quorum, evidence }) => [
      size,
      quorum,
      evidence.map(({ anchor }) => anchor).sort(),
    ]),
  ).toEqual([
    [3n, 2, ['one']],
    [5n, 2, ['one', 'two']],
  ]);
  expect(kept[1]?.note).toBe((await run.log.publication(5)).note);
});

test('an anchor that fails is tried again with the newest, after pauses that double to their maximum', async () => {
  const anchor = scripted('one');
  anchor.failure = DOWN;
  await using run = await begin([anchor], 1);
  await run.offer(1);
  await run.rounds.settled();
  const tries: number[] = [];
  for (let ms = 0, seen = 1; ms < 16_000; ms += 100) {
    run.clock.advance(100);
    await run.rounds.settled();
    if (anchor.sizes.length > seen) tries.push(ms + 100);
    seen = anchor.sizes.length;
  }
  expect(tries.slice(0, 4)).toEqual([1_000, 3_000, 7_000, 11_000]);
  await run.offer(2);
  anchor.failure = null;
  await run.offer(4);
  run.clock.advance(4_000);
  await run.rounds.settled();
  expect(anchor.sizes.at(-1)).toBe(4n);
  expect(run.rounds.status()).toMatchObject({
    quorum_size: 4,
    members: [{ state: 'taking', last_error: null }],
  });
});

test('a log that lives elsewhere is left at once; a claim without a note is heard once', async () => {
  const liar = scripted('liar');
  const held = { size: 99n, root: null, note: null };
  liar.failure = { kind: 'conflict_size', message: 'it holds size 99', held };
  const heard = new Set<string>();
  await using run = await begin([liar], 1, heard);
  await run.offer(2);
  await run.rounds.settled();
  expect(run.conflicts).toEqual(['liar: it holds size 99']);
  {
    // The agent goes on in a new incarnation, whose rounds are others.
    await using other = await begin([liar], 1, heard);
    await other.offer(1);
    await other.rounds.settled();
    expect(other.conflicts, 'nor those of rounds that are begun anew').toEqual([]);
  }
  expect(run.rounds.status().members[0]?.state).toBe('conflict');
  const published = liar.sizes.length;
  await run.offer(3);
  run.clock.advance(60_000);
  await run.rounds.settled();
  expect(liar.sizes, 'nothing more goes to that log').toHaveLength(published);
  const next = createTestLog();
  for (const size of [1, 2]) {
    run.rounds.offer(await next.publication(size));
    run.clock.advance(60_000);
    await run.rounds.settled();
  }
  expect(run.conflicts, 'a witness that lies does not end one log after the other').toHaveLength(1);
  liar.failure = { ...liar.failure, held: { ...held, note: (await next.publication(2)).note } };
  run.rounds.offer(await next.publication(3));
  run.clock.advance(60_000);
  await run.rounds.settled();
  expect(run.conflicts).toHaveLength(2);
});
