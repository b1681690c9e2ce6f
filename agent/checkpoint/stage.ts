/**
 * The checkpoint stage: follows the ledger from its own position, reading durable records only, grows the
 * trees, and signs. It is never on the way of an ack. In a round every stream that has grown is signed, and
 * all of it reaches the disk with one fdatasync; an anchor round puts the signed heads into the anchor log
 * and signs that, also when nothing has happened. Trees are saved now and then: what a crash takes of them
 * is grown again from the ledger, and held to what was signed (signed-tree.ts).
 */
import { formatCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { formatHeartbeat } from '../../ledger/anchor-leaf.ts';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { signNote } from '../../ledger/note.ts';
import { createReader } from '../../ledger/reader.ts';
import { createPlaceFinder } from '../../ledger/record-place.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { CheckpointConfig } from '../../schemas/checkpoint-config.ts';
import { messageOf } from '../../schemas/result.ts';
import type { Logger } from '../ports.ts';
import type { CheckpointStatus } from '../status-ports.ts';
import { headEntry } from './anchor-log.ts';
import { publicationOf } from './anchors/publication.ts';
import type { Rounds } from './anchors/rounds.ts';
import type { SignedCheckpoint } from './journal.ts';
import { leftOf, type StageClock } from './clock.ts';
import { openFiles } from './files.ts';
import { savePosition } from './position.ts';
import { statusOf } from './stage-status.ts';
import type { StreamTree } from './streams.ts';

export type { StageClock } from './clock.ts';

/** How often it signs. */
export type CheckpointSettings = Omit<CheckpointConfig, 'enabled'>;

export interface StageOptions {
  /** Folder of the checkpoints; exists. */
  readonly dir: string;
  readonly ledgerDir: string;
  readonly filesystem: Filesystem;
  readonly clock: StageClock;
  readonly agent: string;
  readonly incarnation: string;
  readonly blindingKey: Uint8Array;
  /** The agent's key; both keys while one takes over from the other. */
  readonly signers: readonly NoteSigner[];
  readonly settings: CheckpointSettings;
  /** Durable records of the ledger. */
  readonly durable: number;
  readonly log: Logger;
  /** Takes the anchor log's checkpoints outside; nothing waits for it. */
  readonly rounds?: Pick<Rounds, 'offer' | 'status'>;
  /** Called once when it cannot go on: what it holds in memory is then worth nothing. */
  readonly onFailed: (reason: string) => void;
}

export interface Stage {
  notifyDurable(records: number): void;
  /** Begins nothing until it is told to go on; what it is at it finishes. */
  pause(isPaused: boolean): void;
  status(): CheckpointStatus;
  /** Lets these sign from now on, all of them each checkpoint. */
  signWith(signers: readonly NoteSigner[]): void;
  /** Signs and anchors what is durable; the largest size signed of each origin. Never settles if the stage fails. */
  signAll(): Promise<ReadonlyMap<string, bigint>>;
  /** Signs nothing more in the anchor log: another agent goes on with it. */
  leaveAnchorLog(origin: string, reason: string): void;
  /** Resolves when there is nothing to do now. */
  settled(): Promise<void>;
  /** Ends, and signs nothing more. */
  abandon(): Promise<void>;
  /** Signs and anchors what is durable, saves all, and ends. */
  stop(): Promise<void>;
}

/** Records read from the ledger, at most, whose trees are not saved. */
const SAVE_RECORDS = 65_536;
const READ_BYTES = 4 * 1024 * 1024;

/** Starts the stage; rejects with what its files or their disk have against it. */
export async function startStage(options: StageOptions): Promise<Stage> {
  const { clock, settings, filesystem, dir, log } = options;
  const files = await openFiles(options);
  const { streams, anchor, journal, position } = files;
  const reader = createReader(
    { dir: options.ledgerDir, filesystem, from: position.next },
    createPlaceFinder(),
  );
  let { durable, signers } = options;
  let lastHash: ChainHash | null = position.last_hash;
  /** Records in the trees and under no checkpoint, and since when there are any. */
  let unsigned = 0;
  let unsignedSinceMs = 0;
  let savedNext = position.next;
  let signedNext = position.next;
  let signedAtMs: number | null = null;
  let anchoredAtMs: number | null = null;
  let running: Promise<void> | null = null;
  let isAgain = false;
  let isEnded = false;
  let isPaused = false;
  let cancelTimer: () => void = () => undefined;
  const told = new Set<string>();
  let asked: (() => void)[] = [];

  /** Puts the next records into the trees; how many there were. */
  async function grow(): Promise<number> {
    const recordsMax = settings.records_max - unsigned;
    const read = await reader.read({ recordsMax, bytesMax: READ_BYTES, upTo: durable });
    if (!read.ok) throw new Error(`${read.error.kind}: ${read.error.message}`);
    if (read.value.length > 0 && unsigned === 0) unsignedSinceMs = clock.nowMs();
    for (const record of read.value) {
      const stream = streams.find(record.stream) ?? (await streams.begin(record.stream));
      stream.take(record);
      lastHash = record.this_hash;
    }
    unsigned += read.value.length;
    return read.value.length;
  }

  async function sign(checkpoint: Checkpoint, head: ChainHash | null): Promise<SignedCheckpoint> {
    const note = await signNote(formatCheckpoint(checkpoint), signers);
    return { ...checkpoint, note, head };
  }

  /** Signs every stream that has grown. Nothing counts as signed before it is on disk. */
  async function round(): Promise<void> {
    const due: { readonly stream: StreamTree; readonly signed: SignedCheckpoint }[] = [];
    for (const stream of streams.all()) {
      const checkpoint = stream.due();
      if (checkpoint !== null) due.push({ stream, signed: await sign(checkpoint, stream.head()) });
    }
    if (due.length > 0) {
      await journal.append(due.map(({ signed }) => signed));
      for (const { stream, signed } of due) stream.noteSigned(signed);
      signedAtMs = clock.nowMs();
    }
    unsigned = 0;
    signedNext = reader.position();
    complain();
    if (signedNext - savedNext >= SAVE_RECORDS) await save();
  }

  /** Puts the newest heads into the anchor log, behind the time, and signs it. */
  async function anchorRound(): Promise<void> {
    const nowMs = clock.nowMs();
    const heads: { readonly stream: StreamTree; readonly signed: SignedCheckpoint }[] = [];
    for (const stream of streams.all()) {
      const signed = stream.signed();
      if (signed !== null && signed.size > stream.anchored()) heads.push({ stream, signed });
    }
    const entries = heads.map(({ signed }) => headEntry(options.blindingKey, signed));
    if (anchor.stopped() === null) {
      await anchor.add([{ leaf: formatHeartbeat(nowMs) }, ...entries]);
      for (const { stream, signed } of heads) stream.noteAnchored(signed.size);
      const due = anchor.due();
      if (due !== null) {
        const signed = await sign(due, null);
        await journal.append([signed]);
        anchor.noteSigned(signed);
        options.rounds?.offer(publicationOf(signed, anchor.tree));
      }
    }
    anchoredAtMs = nowMs;
    complain();
    await save();
  }

  /** Trees first: a position MUST NOT lead them. */
  async function save(): Promise<void> {
    const next = reader.position();
    await streams.save();
    await anchor.tree.save();
    await savePosition(filesystem, dir, {
      next,
      last_hash: lastHash,
      streams: streams.positions(),
      anchor: anchor.position(),
    });
    savedNext = next;
  }

  function complain(): void {
    for (const tree of [...streams.all(), anchor]) {
      const reason = tree.stopped();
      if (reason === null || told.has(tree.origin)) continue;
      told.add(tree.origin);
      log.error(
        { component: 'checkpoint', stream: tree.origin, reason },
        'what is on disk contradicts what was signed, or itself; nothing more is signed there. Run `sealtrail verify` and keep the folder as evidence',
      );
    }
  }

  /** Until the next round of checkpoints, for the time alone. */
  const roundLeftMs = (): number =>
    unsigned === 0 ? Infinity : leftOf(settings.interval_ms, unsignedSinceMs, clock.nowMs());
  const anchorLeftMs = (): number =>
    anchoredAtMs === null ? 0 : leftOf(settings.anchor_interval_ms, anchoredAtMs, clock.nowMs());

  async function work(): Promise<void> {
    // Who asks from now on may mean records that are not read in this turn.
    const answers = asked;
    asked = [];
    let grown = 0;
    do {
      grown = await grow();
      if (unsigned >= settings.records_max || roundLeftMs() === 0) await round();
    } while (grown > 0 && !isEnded && !isPaused);
    if (anchorLeftMs() > 0 && answers.length === 0) return;
    if (unsigned > 0) await round();
    await anchorRound();
    for (const answer of answers) answer();
  }

  function arm(): void {
    cancelTimer();
    if (isEnded) return;
    cancelTimer = clock.after(Math.min(roundLeftMs(), anchorLeftMs()), wake);
  }

  function fail(error: unknown): void {
    if (isEnded) return;
    isEnded = true;
    cancelTimer();
    options.onFailed(messageOf(error));
  }

  /** Works off what there is; once more where it is called meanwhile. */
  function wake(): void {
    if (isEnded || isPaused) return;
    if (running !== null) {
      isAgain = true;
      return;
    }
    running = work()
      .then(arm, fail)
      .finally(() => {
        running = null;
        if (!isAgain) return;
        isAgain = false;
        wake();
      });
  }

  async function close(): Promise<void> {
    await reader.close();
    await journal.close();
  }

  wake();
  return {
    notifyDurable: (records) => {
      durable = Math.max(durable, records);
      wake();
    },
    pause: (paused) => {
      isPaused = paused;
      wake();
    },
    signWith: (those) => (signers = those),
    signAll: async () => {
      const done = new Promise<void>((settle) => asked.push(settle));
      wake();
      await done;
      return new Map([...journal.newest].map(([origin, { size }]) => [origin, size]));
    },
    status: () => ({
      ...statusOf(files, { durable, signedNext, signedAtMs, anchoredAtMs }),
      anchors: options.rounds?.status() ?? null,
    }),
    leaveAnchorLog: (origin, reason) => {
      if (anchor.origin === origin) anchor.stop(reason);
      complain();
    },
    settled: async () => {
      while (running !== null) await running;
    },
    abandon: async () => {
      isEnded = true;
      cancelTimer();
      while (running !== null) await running;
      await close();
    },
    stop: async () => {
      while (running !== null) await running;
      try {
        if (isEnded) return;
        isEnded = true;
        cancelTimer();
        while ((await grow()) > 0) await round();
        if (unsigned > 0) await round();
        await anchorRound();
      } finally {
        await close();
      }
    },
  };
}
