/**
 * The audit_failure channel: an NDJSON file beside the spool, one per process, that says which events the
 * agent did not take and what became of them. It holds codes and ids, never contents of an event, and
 * does not depend on the agent that fails.
 */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileHandle } from 'node:fs/promises';
import { messageOf } from '../schemas/result.ts';
import { appendDurably, createGroupCommits, openToAppend, type Written } from './append-file.ts';
import type { BreakerReason } from './breaker.ts';
import type { AuditFailure } from './failure.ts';

/** What the channel says besides its time, and the service. */
export type FailureNote =
  | { readonly kind: 'audit_failure'; readonly failure: AuditFailure }
  | {
      readonly kind: 'breaker';
      readonly state: 'open' | 'closed';
      readonly reason: BreakerReason;
      /** Events refused since it opened, whose refusals are not listed one by one. */
      readonly refused: number;
    }
  | { readonly kind: 'spool_refused'; readonly event_id: string; readonly code: string }
  | {
      readonly kind: 'spool_damaged';
      readonly file: string;
      /** Null where it is no file of a spool at all. */
      readonly corrupt_lines: number | null;
    };

export interface FailureChannel {
  /** Calls `done` once the note is on disk, or once the process was warned that it is not. */
  write(note: FailureNote, done?: () => void): void;
  whenIdle(): Promise<void>;
  close(): Promise<void>;
}

/** The file is set aside at this size, in the place of the one set aside before. */
const BYTES_MAX = 16 * 1024 * 1024;

/** Creates the channel of one process; its file is made with the first note. */
export function createFailureChannel(dir: string, id: string, service: string): FailureChannel {
  const path = join(dir, `audit_failure-${id}.ndjson`);
  const commits = createGroupCommits(commit);
  let file: FileHandle | null = null;
  let bytes = 0;
  let isBroken = false;

  async function commit(lines: readonly Buffer[]): Promise<Written> {
    try {
      if (file !== null && bytes >= BYTES_MAX) {
        await file.close();
        file = null;
        await rename(path, `${path}.1`);
      }
      if (file === null) {
        const opened = await openToAppend(path, false);
        // Not abandon(), which cuts off at a size that is not known yet.
        try {
          bytes = (await opened.stat()).size;
        } catch (error) {
          await opened.close();
          throw error;
        }
        file = opened;
      }
      bytes += await appendDurably(file, lines);
      isBroken = false;
      return { ok: true };
    } catch (error) {
      if (!isBroken) warn(messageOf(error));
      isBroken = true;
      await abandon();
      return { ok: false, message: messageOf(error) };
    }
  }

  /** Half a line would spoil the next one. */
  async function abandon(): Promise<void> {
    const broken = file;
    file = null;
    if (broken === null) return;
    try {
      await broken.truncate(bytes);
    } catch (error) {
      warn(messageOf(error));
    }
    await broken.close().catch((error: unknown) => warn(messageOf(error)));
  }

  return {
    write(note, done) {
      const text = JSON.stringify({ time: new Date().toISOString(), service, ...flatten(note) });
      commits.write(Buffer.from(`${text}\n`), () => done?.());
    },
    whenIdle: () => commits.whenIdle(),
    close: async () => {
      await commits.whenIdle();
      await file?.close();
      file = null;
    },
  };
}

function flatten(note: FailureNote): object {
  if (note.kind !== 'audit_failure') return note;
  const { error, ...event } = note.failure;
  return { kind: note.kind, ...event, code: error.code, recorded: error.recorded };
}

function warn(message: string): void {
  process.emitWarning(`the audit_failure channel cannot be written: ${message}`, {
    type: 'AuditWarning',
    code: 'SEALTRAIL_CHANNEL_FAILED',
  });
}
