/**
 * Messages that are no genuine records, kept with the reason, byte for byte: one line of JSON each,
 * fsynced before the message is given up in NATS. They are evidence, not work to be done again.
 */
import { join } from 'node:path';
import type { Filesystem, LedgerFile } from '../../ledger/filesystem.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { Refused } from './incoming.ts';

/** Below data_dir. */
export const GATEWAY_LETTERS = 'dead-letter/gateway.ndjson';

export interface GatewayLetter {
  readonly refused: Refused;
  readonly subject: string;
  /** Number of the message in the JetStream stream. */
  readonly message: number;
  readonly data: Uint8Array;
}

export interface GatewayLetters {
  /** Resolves once they are on disk. A repeated message may be there twice. */
  add(letters: readonly GatewayLetter[]): Promise<Result<void, string>>;
  close(): Promise<void>;
}

/** Opens the file of a data directory, which this process alone writes. */
export function createGatewayLetters(
  dataDir: string,
  filesystem: Filesystem,
  nowMs: () => number,
): GatewayLetters {
  const path = join(dataDir, GATEWAY_LETTERS);
  let file: LedgerFile | null = null;

  async function open(): Promise<LedgerFile> {
    if (file !== null) return file;
    await filesystem.makeDir(join(dataDir, 'dead-letter'));
    const isThere = await filesystem.exists(path);
    file = isThere ? await filesystem.open(path) : await filesystem.create(path);
    await filesystem.syncDir(join(dataDir, 'dead-letter'));
    return file;
  }

  async function close(): Promise<void> {
    const closing = file;
    file = null;
    await closing?.close();
  }

  return {
    add: async (letters) => {
      const at = new Date(nowMs()).toISOString();
      const lines = letters.map(({ refused, subject, message, data }) => {
        const text = Buffer.from(data).toString('base64');
        return `${JSON.stringify({ at, ...refused, subject, message, data_base64: text })}\n`;
      });
      try {
        const opened = await open();
        const before = await opened.size();
        try {
          await opened.append(Buffer.from(lines.join('')));
          await opened.datasync();
        } catch (error) {
          await opened.truncate(before);
          throw error;
        }
        return ok(undefined);
      } catch (error) {
        await close();
        return err(`cannot write ${path}: ${messageOf(error)}`);
      }
    },
    close,
  };
}
