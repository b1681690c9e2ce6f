/**
 * A witness as an anchor (C2SP tlog-witness). It is asked with the size that it is believed to hold; where it
 * holds another one it says which (409), and is asked once more with the proof from there. A larger one than
 * ours is a rollback; a proof that it refuses (422) a fork.
 */
import { createHash } from 'node:crypto';
import { parseCheckpoint } from '../../../ledger/checkpoint.ts';
import { formatSignature, openNote, parseNote } from '../../../ledger/note.ts';
import { KEY_TYPE, parseVkey, readTime } from '../../../ledger/signing.ts';
import {
  ADD_CHECKPOINT_PATH,
  formatWitnessRequest,
  parseWitnessSize,
} from '../../../ledger/witness-request.ts';
import type { WitnessAnchorConfig } from '../../../schemas/anchor-config.ts';
import { err, ok, type Result } from '../../../schemas/result.ts';
import type { AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import type { Anchor, AnchorFailure, HeldCheckpoint, Publication } from './anchor.ts';
import { describeStatus, refused, request } from './http.ts';

/** A clone that publishes as well moves the size between two questions; a third is asked once. */
const QUESTIONS_MAX = 3;
/** How far a witness's clock may be from ours. */
export const CLOCK_SECONDS_MAX = 300n;

/** Creates the anchor of a witness; an error says what is wrong with its key. */
export function createWitnessAnchor(
  config: WitnessAnchorConfig,
  nowMs: () => number,
): Result<Anchor, string> {
  const key = parseVkey(config.vkey);
  if (!key.ok) return key;
  if (key.value.type !== KEY_TYPE.witness) return err('the key is none of a witness');
  const witnessKey = key.value;
  const name = `witness/${config.name}`;
  const prefix = config.url.replace(/\/$/, '');
  /** What it held when it answered last, by origin. */
  const heldSizes = new Map<string, bigint>();

  async function submit(
    publication: Publication,
    from: bigint,
    signal: AbortSignal,
  ): Promise<Result<AnchorEvidence, AnchorFailure>> {
    const { checkpoint, note } = publication;
    const { origin, size } = checkpoint;
    let oldSize = from;
    for (let question = 1; question <= QUESTIONS_MAX; question += 1) {
      const proof = await publication.proveConsistency(oldSize);
      const answer = await request(
        {
          url: new URL(prefix + ADD_CHECKPOINT_PATH),
          tls: config.tls,
          method: 'POST',
          body: formatWitnessRequest({ oldSize, proof, note }),
        },
        signal,
      );
      if (!answer.ok) return answer;
      const { status } = answer.value;
      const text = answer.value.bytes.toString('utf8');
      if (status === 200) {
        const evidence = readCosignature(note, text);
        if (evidence.ok) heldSizes.set(origin, size);
        return evidence;
      }
      if (status === 422) return conflict('conflict_root', publication, oldSize, signal);
      if (status !== 409) return err(describeStatus(status));
      const heldSize = parseWitnessSize(text);
      if (heldSize === null || heldSize === oldSize)
        return refused('it says 409 with no size, or with the one that it was asked with');
      heldSizes.set(origin, heldSize);
      if (heldSize > size) return conflict('conflict_size', publication, heldSize, signal);
      oldSize = heldSize;
    }
    return err({ kind: 'unreachable', message: 'its newest checkpoint changes while it is asked' });
  }

  function readCosignature(note: string, lines: string): Result<AnchorEvidence, AnchorFailure> {
    const opened = openNote(note + lines, [witnessKey]);
    const signature = opened.ok ? opened.value.verified[0] : undefined;
    // With an empty line in its answer, the text would be another one: kept, it would refute every proof.
    const isOver = opened.ok && note.startsWith(`${opened.value.text}\n`);
    if (signature === undefined || !isOver)
      return refused('what it answers is no cosignature of its key over this checkpoint');
    const time = readTime(signature.bytes);
    const ahead = time - BigInt(Math.floor(nowMs() / 1000));
    if (ahead > CLOCK_SECONDS_MAX || ahead < -CLOCK_SECONDS_MAX)
      return refused(`the time that it states is ${ahead} s from this host's`);
    const at = new Date(Number(time) * 1000).toISOString();
    return ok({ kind: 'cosignature', anchor: name, time: at, line: formatSignature(signature) });
  }

  /** With the note that it holds, where it serves that: it shows to anybody what the status only says. */
  async function conflict(
    kind: 'conflict_size' | 'conflict_root',
    { checkpoint: { origin, size } }: Publication,
    heldSize: bigint,
    signal: AbortSignal,
  ): Promise<Result<never, AnchorFailure>> {
    const held = (await readNewest(origin, signal)) ?? { size: heldSize, root: null, note: null };
    const message =
      kind === 'conflict_size'
        ? `it holds size ${held.size} of ${origin}, this agent has signed ${size}`
        : `it holds size ${held.size} of ${origin} with another root than this agent has signed`;
    return err({ kind, message, held });
  }

  async function readNewest(origin: string, signal: AbortSignal): Promise<HeldCheckpoint | null> {
    const hash = createHash('sha256').update(origin).digest('hex');
    const url = new URL(`${prefix}/${hash}/checkpoint`);
    const answer = await request({ url, tls: config.tls, method: 'GET' }, signal);
    if (!answer.ok || answer.value.status !== 200) return null;
    const note = answer.value.bytes.toString('utf8');
    const parsed = parseNote(note);
    const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
    return checkpoint?.origin === origin
      ? { size: checkpoint.size, root: checkpoint.root, note }
      : null;
  }

  return ok({
    name,
    publish: (publication, signal) =>
      submit(publication, heldSizes.get(publication.checkpoint.origin) ?? 0n, signal),
    newest: async (own, signal) => {
      const { size, root } = own.checkpoint;
      // Asked to continue what we have ourselves: it agrees, or says what it has.
      const submitted = await submit(own, size, signal);
      if (submitted.ok) return ok({ size, root, note: own.note });
      const { error } = submitted;
      return error.kind === 'conflict_size' ? ok(error.held) : err(error);
    },
    close: () => Promise.resolve(),
  });
}
