/**
 * The local spool: where events of fail-open actions wait on disk while the agent is away. It is bounded
 * in bytes, written in fsynced groups, and drained in order, by this process or by the next one.
 *
 *   DIR/<id>/<id>.ndjson             one folder a process, locked; the file names the producer it is sent as
 *   DIR/set-aside/<id>.ndjson        files with events that the agent refused for good, or with damage
 *   DIR/audit_failure-<id>.ndjson    what failed, and what became of it (failure-channel.ts)
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ulid } from 'ulid';
import { messageOf } from '../schemas/result.ts';
import { createGroupCommits, type Written } from './append-file.ts';
import type { Line } from './arena.ts';
import type { FailureChannel, FailureNote } from './failure-channel.ts';
import { createSpoolClaims } from './spool-claims.ts';
import { drainFile, type DrainedFile } from './spool-drain.ts';
import { readSpoolFile, type SealedFile } from './spool-file.ts';
import { encodeSpoolLine, readSpool, type SpooledEvent } from './spool-format.ts';
import { createSpoolWriter } from './spool-writer.ts';

export interface SpoolSettings {
  readonly dir: string;
  readonly bytesMax: number;
  readonly service: string;
  readonly socketPath: string;
  readonly stallMs: number;
}

export type SpoolOutcome =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly reason: 'spool_full' | 'spool_failed';
      readonly message: string;
      /** True: it may be drained yet. */
      readonly mayBeKept?: boolean;
    };

export interface SpoolStats {
  /** Bytes that wait on disk, of this process and of those it took over. */
  readonly bytes: number;
  /** Events that this process has spooled. */
  readonly spooled: number;
  /** Spooled events that the agent has answered, here or in a file that was taken over. */
  readonly drained: number;
}

export interface Spool {
  /** Calls `done` once: the line is fsynced, or it is not kept. */
  append(line: Line, done: (outcome: SpoolOutcome) => void): void;
  stats(): SpoolStats;
  /** Resolves once every line is kept or not; not once they are drained. */
  whenIdle(): Promise<void>;
  /** Stops draining and lets the files go; the next process takes them over. */
  close(): Promise<void>;
}

const SCAN_MS = 5000;

/** Creates the spool; onAnswer is called for each spooled event that the agent answered. */
export function createSpool(
  settings: SpoolSettings,
  channel: FailureChannel,
  onAnswer: () => void,
): Spool {
  const { dir, bytesMax } = settings;
  const own = new Set<string>();
  const toSend: SealedFile[] = [];
  /** Events that were given new numbers, since the agent had passed theirs. */
  const renumbered = new Set<string>();
  const claims = createSpoolClaims(
    dir,
    (name) => own.has(name),
    (error) => warn(`a folder of the spool cannot be taken over: ${messageOf(error)}`),
  );
  const stop = new AbortController();
  const commits = createGroupCommits((lines) => inTurn(() => commit(lines)));
  let writer = openWriter();
  let turn: Promise<unknown> = Promise.resolve();
  let draining: Promise<void> | null = null;
  let isWanted = false;
  let spooled = 0;
  let drained = 0;

  function openWriter(): ReturnType<typeof createSpoolWriter> {
    const name = ulid();
    own.add(name);
    return createSpoolWriter(join(dir, name), (file) => toSend.push(file));
  }

  /** Writing and ending a file never overlap. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const next = turn.then(work, work);
    turn = next;
    return next;
  }

  async function commit(lines: readonly Buffer[]): Promise<Written> {
    if (writer.isLost()) {
      // Its file is sent by this process as well: nobody may have taken the folder, and the agent records each event once.
      await writer.close();
      writer = openWriter();
    }
    const written = await writer.append(lines);
    if (written.ok) spooled += lines.length;
    wake();
    return written;
  }

  function heldBytes(): number {
    const sealed = toSend.reduce((sum, { bytes }) => sum + bytes, 0);
    return sealed + writer.current().bytes + commits.waitingBytes();
  }

  function append({ bytes, start, end }: Line, done: (outcome: SpoolOutcome) => void): void {
    const line = encodeSpoolLine(bytes.subarray(start, end));
    if (heldBytes() + line.length > bytesMax) {
      const message = `the spool is full: ${bytesMax} bytes`;
      return done({ ok: false, reason: 'spool_full', message });
    }
    commits.write(line, (written) =>
      done(written.ok ? written : { ...written, reason: 'spool_failed' }),
    );
  }

  /** There may be something to send. */
  function wake(): void {
    isWanted = true;
    if (stop.signal.aborted) return;
    draining ??= drain().then(
      () => void (draining = null),
      (error: unknown) => {
        // The files are where they were; the next scan tries again.
        warn(`the spool cannot be drained: ${messageOf(error)}`);
        draining = null;
      },
    );
  }

  async function drain(): Promise<void> {
    while (isWanted && !stop.signal.aborted) {
      if (toSend.length === 0) {
        isWanted = false;
        await inTurn(() => writer.seal());
      }
      const file = toSend[0];
      if (file !== undefined) await send(file);
    }
  }

  /** Resolves once the file is done with, or draining has to stop. */
  async function send(file: SealedFile): Promise<void> {
    isWanted = true;
    try {
      if (!(await empty(file))) return;
    } catch (error) {
      // Tried again with the next scan: those behind it do not wait for it.
      toSend.push(...toSend.splice(0, 1));
      throw error;
    }
    toSend.shift();
    await claims.finished(file);
  }

  /** False when draining was stopped before everything in the file was answered for. */
  async function empty(file: SealedFile): Promise<boolean> {
    const bytes = await readSpoolFile(file.path);
    if (bytes === 'gone') {
      warn(`a file of the spool is gone: ${basename(file.path)}`);
      return true;
    }
    if (bytes === 'unfit') {
      await tellDamage(file, null);
      await setAside(file);
      return true;
    }
    const contents = readSpool(bytes);
    const result = await drainFile(contents, { ...settings, onAnswer: answered }, stop.signal);
    if (result === null) return false;
    if (contents.corruptLines > 0) await tellDamage(file, contents.corruptLines);
    const refused = await keepWhatIsLeft(contents.events, result);
    if (refused + contents.corruptLines > 0) await setAside(file);
    else await rm(file.path, { force: true });
    return true;
  }

  /** Before a file goes, or a crash in between would leave nobody who knows of it. */
  function tell(note: FailureNote): Promise<void> {
    return new Promise((told) => channel.write(note, told));
  }

  function tellDamage({ path }: SealedFile, corrupt_lines: number | null): Promise<void> {
    return tell({ kind: 'spool_damaged', file: basename(path), corrupt_lines });
  }

  function answered(): void {
    drained += 1;
    onAnswer();
  }

  /** Returns how many are refused. An agent that passes an event's number twice is believed. */
  async function keepWhatIsLeft(
    events: readonly SpooledEvent[],
    { refused, again }: DrainedFile,
  ): Promise<number> {
    const twice = again.filter(({ event }) => renumbered.has(event.event_id));
    for (const { event_id } of events) renumbered.delete(event_id);
    await Promise.all(
      [...refused, ...twice].map(({ event, error }) =>
        tell({ kind: 'spool_refused', event_id: event.event_id, code: error.code }),
      ),
    );
    for (const { event } of again.filter((one) => !twice.includes(one))) {
      const line = encodeSpoolLine(event.bytes.subarray(event.start, event.end));
      const written = await new Promise<Written>((resolve) => commits.write(line, resolve));
      if (!written.ok) throw new Error(written.message);
      renumbered.add(event.event_id);
    }
    return refused.length + twice.length;
  }

  async function setAside(file: SealedFile): Promise<void> {
    await mkdir(join(dir, 'set-aside'), { recursive: true, mode: 0o700 });
    await rename(file.path, join(dir, 'set-aside', basename(file.path)));
  }

  async function scan(): Promise<void> {
    try {
      toSend.push(...(await claims.scan()));
    } catch (error) {
      warn(`the spool cannot be looked through: ${messageOf(error)}`);
    }
    if (stop.signal.aborted) await claims.close();
    else if (toSend.length > 0) wake();
    scanning = null;
  }

  let scanning: Promise<void> | null = scan();
  const timer = setInterval(() => {
    scanning ??= scan();
  }, SCAN_MS);
  timer.unref();

  return {
    append,
    stats: () => ({ bytes: heldBytes(), spooled, drained }),
    whenIdle: commits.whenIdle,
    async close() {
      clearInterval(timer);
      await commits.whenIdle();
      stop.abort();
      await draining;
      await scanning;
      await claims.close();
      await writer.close();
    },
  };
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'AuditWarning', code: 'SEALTRAIL_SPOOL_FAILED' });
}
