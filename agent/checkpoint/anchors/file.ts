/**
 * A file on another mount as an anchor: a signed note a line, only ever appended to and fsynced, so that
 * `chattr +a`, a WORM share or a remote host's mount can hold it. It keeps what was written, and checks nothing.
 *
 *   {"note":"<the signed note>"}\n
 */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseCheckpoint } from '../../../ledger/checkpoint.ts';
import { isSameHash } from '../../../ledger/merkle/hash.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { parseNote } from '../../../ledger/note.ts';
import type { FileAnchorConfig } from '../../../schemas/anchor-config.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import { readJson } from '../../../schemas/untrusted-json.ts';
import type { Anchor, AnchorFailure, HeldCheckpoint } from './anchor.ts';

const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/** What makes a line last, so that a test can fail it. */
export interface FileAnchorDisk {
  sync(file: FileHandle): Promise<void>;
  syncDir(dir: string): Promise<void>;
}

const DISK: FileAnchorDisk = {
  sync: (file) => file.datasync(),
  syncDir: (dir) => nodeFilesystem.syncDir(dir),
};

/** Creates the anchor of a file. Nothing is opened between two calls: the mount may come and go. */
export function createFileAnchor(
  config: FileAnchorConfig,
  nowMs: () => number,
  disk: FileAnchorDisk = DISK,
): Anchor {
  const { path } = config;
  const name = `file/${config.name}`;
  /** The largest checkpoint of each log that this process has seen on the disk, not only in the file. */
  const durable = new Map<string, bigint>();
  /** The largest checkpoint of each log in the first `readBytes` of the file. */
  const newest = new Map<string, HeldCheckpoint>();
  let readBytes = 0;
  /** Whether its entry in the folder is on the disk as well. */
  let isNamed = false;

  function take(line: string): void {
    const value = readJson(line);
    const note = typeof value === 'object' && value !== null && 'note' in value ? value.note : null;
    const parsed = typeof note === 'string' ? parseNote(note) : null;
    const checkpoint = parsed?.ok === true ? parseCheckpoint(parsed.value.text) : null;
    // A line that was torn, or is somebody else's.
    if (checkpoint === null || typeof note !== 'string') return;
    const { origin, size, root } = checkpoint;
    if (size > (newest.get(origin)?.size ?? -1n)) newest.set(origin, { size, root, note });
  }

  /** Reads what has been added, whole lines only. */
  async function catchUp(file: FileHandle): Promise<void> {
    const { size } = await file.stat();
    if (size < readBytes) {
      newest.clear();
      durable.clear();
      isNamed = false;
      readBytes = 0;
    }
    let rest = Buffer.alloc(0);
    for (let at = readBytes; at < size;) {
      const chunk = Buffer.alloc(Math.min(READ_BYTES, size - at));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      for (const line of bytes.toString('utf8', 0, end).split('\n')) take(line);
      rest = bytes.subarray(end);
      readBytes = at - rest.length;
    }
  }

  async function withFile<T>(
    flags: number,
    use: (file: FileHandle) => Promise<T>,
  ): Promise<Result<T, AnchorFailure>> {
    let file: FileHandle | null = null;
    try {
      file = await open(path, flags, 0o644);
      return ok(await use(file));
    } catch (error) {
      return err({ kind: 'unreachable', message: messageOf(error) || codeOf(error) });
    } finally {
      await file?.close();
    }
  }

  return {
    name,
    publish: async ({ checkpoint, note }) => {
      const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;
      const stored = await withFile(flags, async (file): Promise<HeldCheckpoint | null> => {
        await catchUp(file);
        const { origin, root } = checkpoint;
        const held = newest.get(origin);
        if (held?.size === checkpoint.size) {
          const isOther = held.root !== null && !isSameHash(held.root, root);
          if (isOther || durable.get(origin) === held.size) return held;
          // After a failed fsync it can be read and need not be on the disk: it is written once more.
        }
        const { size } = await file.stat();
        // After a torn line ours begins a new one.
        const begin = size === readBytes ? '' : '\n';
        await file.appendFile(`${begin}${JSON.stringify({ note })}\n`);
        await disk.sync(file);
        if (!isNamed) await disk.syncDir(dirname(path));
        isNamed = true;
        durable.set(origin, checkpoint.size);
        return null;
      });
      if (!stored.ok) return stored;
      const held = stored.value;
      if (held?.root !== undefined && held.root !== null && !isSameHash(held.root, checkpoint.root))
        return err({ kind: 'conflict_root', message: `${path} holds another root`, held });
      const time = new Date(nowMs()).toISOString();
      return ok({ kind: 'copy', anchor: name, time, place: path });
    },
    newest: async ({ checkpoint: { origin } }) => {
      const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;
      const read = await withFile(flags, catchUp);
      return read.ok ? ok(newest.get(origin) ?? null) : read;
    },
    close: () => Promise.resolve(),
  };
}
