/**
 * Cosigning: compares a checkpoint with the newest that was cosigned for its log and stores it, one at a time
 * and durable before anything is said. So of two that continue the same one, a second is turned away, and what
 * a crash takes is an answer, never a memory. A log is a file, and the file is the cosigned note:
 *
 *   logs/<hex SHA-256(origin)>
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { formatSignature, parseNote } from '../../ledger/note.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import { codeOf, err, ok, type Result } from '../../schemas/result.ts';
import { judgeSubmission, type Refusal, type Submission } from './decide.ts';

export interface Cosigning {
  /** The signature line; durable before it resolves. Rejects with the system's error: nothing was said then. */
  cosign(submission: Submission): Promise<Result<string, Refusal>>;
  /** The newest cosigned note of a log by the hex SHA-256 of its origin; null: none. */
  newest(originHash: string): Promise<string | null>;
}

export interface CosigningOptions {
  /** Folder of the logs; exists. */
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly signer: NoteSigner;
}

/** Creates it over a folder that MUST be nobody else's. */
export function createCosigning({ dir, filesystem, signer }: CosigningOptions): Cosigning {
  let last: Promise<void> = Promise.resolve();

  async function newest(originHash: string): Promise<string | null> {
    try {
      return (await filesystem.readFile(join(dir, originHash))).toString('utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }

  async function compareAndStore(submission: Submission): Promise<Result<string, Refusal>> {
    const { checkpoint, text, note } = submission;
    const originHash = createHash('sha256').update(checkpoint.origin).digest('hex');
    const judged = judgeSubmission(submission, readKept(await newest(originHash)));
    if (!judged.ok) return err(judged.error);
    const { name, id } = signer;
    const line = formatSignature({ name, id, bytes: await signer.sign(text) });
    // The same checkpoint again as well: its first storing may have failed half-way.
    await filesystem.replace(join(dir, originHash), `${note}${line}`);
    return ok(line);
  }

  return {
    cosign: async (submission) => {
      const before = last;
      let end: () => void = () => undefined;
      last = new Promise((settle) => (end = settle));
      await before;
      try {
        return await compareAndStore(submission);
      } finally {
        end();
      }
    },
    newest,
  };
}

/** What was kept is this witness's memory: damaged, it MUST NOT count as none. */
function readKept(note: string | null): Checkpoint | null {
  if (note === null) return null;
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  if (checkpoint === null)
    throw new Error('a kept checkpoint is damaged; nothing more is cosigned for its log');
  return checkpoint;
}
