/**
 * What a witness says to a request (C2SP tlog-witness): whether the log is one of its own, its key has signed,
 * and the checkpoint continues what the witness has cosigned last. Pure: state is handed in.
 */
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { verifyConsistency } from '../../ledger/merkle/verify-proof.ts';
import { EMPTY_ROOT } from '../../ledger/merkle/hash.ts';
import { formatSignature, openNote, parseNote } from '../../ledger/note.ts';
import { verifyTrusted, type Trust } from '../../ledger/trust.ts';
import { parseWitnessRequest, type WitnessRequest } from '../../ledger/witness-request.ts';
import { err, ok, type Result } from '../../schemas/result.ts';

/** A refusal, as HTTP says it. */
export interface Refusal {
  readonly status: 400 | 403 | 404 | 409 | 422;
  readonly message: string;
}

/** A request whose log and signature are right. */
export interface Submission {
  readonly request: WitnessRequest;
  readonly checkpoint: Checkpoint;
  /** The text that is cosigned. */
  readonly text: string;
  /** The note with the signatures that were verified, and no others. */
  readonly note: string;
}

/**
 * Reads a request and verifies the log's signature. A key vouches for the origins that its line names, and,
 * named `sealtrail/<agent>` without one, for those below its own name: each incarnation is a new log.
 */
export function readSubmission(body: string, trust: Trust): Result<Submission, Refusal> {
  const request = parseWitnessRequest(body);
  if (request === null) return refuse(400, 'the body is no add-checkpoint request');
  const parsed = parseNote(request.note);
  if (!parsed.ok) return refuse(400, parsed.error.message);
  const { text } = parsed.value;
  const origin = text.split('\n')[0] ?? '';
  const own = trustOf(trust, origin);
  if (own.keys.length === 0) return refuse(404, 'this witness does not know the log');
  const checkpoint = parseCheckpoint(text);
  const verified = verifyTrusted(request.note, origin, own);
  if (!verified.ok && verified.error.kind !== 'malformed_checkpoint')
    return refuse(403, verified.error.message);
  if (checkpoint === null)
    return isEmptyTree(text)
      ? refuse(422, 'a tree without leaves has another root')
      : refuse(400, 'the note is no checkpoint');
  if (request.oldSize > checkpoint.size)
    return refuse(400, 'the old size is larger than that of the checkpoint');
  const opened = openNote(request.note, own.keys);
  const signatures = opened.ok ? opened.value.verified.map(formatSignature).join('') : '';
  return ok({ request, checkpoint, text, note: `${text}\n${signatures}` });
}

/** Whether a submission continues `latest`, the newest checkpoint that was cosigned for the log. */
export function judgeSubmission(
  { request: { oldSize, proof }, checkpoint }: Submission,
  latest: Checkpoint | null,
): Result<void, Refusal> {
  const known = latest?.size ?? 0n;
  // The whole body of the answer, as the page has it.
  if (oldSize !== known) return refuse(409, `${known}\n`);
  if (oldSize === 0n && proof.length > 0)
    return refuse(422, 'from the empty tree there is nothing to prove');
  if (oldSize === 0n && checkpoint.size > 0n) return ok(undefined);
  const isContinued = verifyConsistency({
    size1: oldSize,
    size2: checkpoint.size,
    root1: latest?.root ?? EMPTY_ROOT,
    root2: checkpoint.root,
    proof,
  });
  return isContinued ? ok(undefined) : refuse(422, 'the checkpoint does not continue the last one');
}

/** The part of the trust that speaks of a log. */
function trustOf({ keys, windows, revoked }: Trust, origin: string): Trust {
  const nameOf = (vkey: string): string => vkey.slice(0, vkey.indexOf('+'));
  const own = windows.filter((window) =>
    window.origin === '*'
      ? `${origin}/`.startsWith(`${nameOf(window.vkey)}/`)
      : window.origin === origin,
  );
  const named = keys.filter(({ vkey }) => own.some((one) => one.vkey === vkey));
  return { keys: named, windows: own, revoked };
}

function isEmptyTree(text: string): boolean {
  return text.split('\n')[1] === '0';
}

function refuse(status: Refusal['status'], message: string): Result<never, Refusal> {
  return err({ status, message });
}
