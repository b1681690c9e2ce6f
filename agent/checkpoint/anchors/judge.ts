/**
 * Judges what a proof shows of anchors, against a policy and nothing else: no anchor is asked. A checkpoint was
 * there at the earliest time by which enough anchors of the policy had it; of `k` that are asked for, `k - 1` may
 * lie about theirs.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import type { AnchorPolicy } from '../../../ledger/anchor-policy.ts';
import { openNote, parseNote } from '../../../ledger/note.ts';
import { readTime } from '../../../ledger/signing.ts';
import { err, messageOf, ok, type Result } from '../../../schemas/result.ts';

/** What anchors vouch for. */
export interface Anchored {
  /** RFC 3339; null where the policy asks for none. */
  readonly time: string | null;
  readonly by: readonly string[];
  /** Places where copies are said to lie: to be compared there. */
  readonly copies: readonly string[];
}

/** invalid: an anchor of the policy is shown with what it did not give. cannot_tell: they are not enough. */
export interface JudgeError {
  readonly kind: 'invalid' | 'cannot_tell';
  readonly message: string;
}

export interface JudgeInput {
  /** The anchor log's checkpoint, as the agent signed it. */
  readonly note: string;
  readonly evidence: readonly AnchorEvidence[];
  readonly policy: AnchorPolicy;
  /** File of the policy: paths in it are relative to it. */
  readonly policyPath: string;
  /** Of a heartbeat in the checkpoint, by the agent's clock: it was signed no earlier. */
  readonly roundTime: string;
}

/** How far clocks may be apart before a time is no longer believed. */
const CLOCK_MS_MAX = 600_000;
/** No date is later: a witness that states a later time states none. */
const SECONDS_MAX = 8_640_000_000_000n;

/** Judges; rejects with nothing. */
export async function judgeAnchors(input: JudgeInput): Promise<Result<Anchored, JudgeError>> {
  const { evidence, policy, roundTime } = input;
  const times = new Map<string, number>();
  const old: string[] = [];
  for (const one of evidence) {
    const found = await timesOf(one, input);
    if (!found.ok) return found;
    for (const [name, time] of found.value) {
      // It holds a heartbeat that was not there yet: that time says nothing.
      if (time < Date.parse(roundTime) - CLOCK_MS_MAX) old.push(name);
      else times.set(name, Math.min(time, times.get(name) ?? Infinity));
    }
  }
  const copies = evidence.flatMap((one) => (one.kind === 'copy' ? [one.place] : []));
  const byTime = [...times].sort(([, one], [, other]) => one - other);
  const names = new Set<string>();
  if (policy.isEnough(names)) return ok({ time: null, by: [], copies });
  for (const [name, time] of byTime) {
    names.add(name);
    if (policy.isEnough(names))
      return ok({ time: new Date(time).toISOString(), by: [...names], copies });
  }
  const stale =
    old.length === 0 ? '' : `; ${old.join(', ')} with a time before what it vouches for`;
  const have = names.size === 0 ? 'none of its anchors' : [...names].join(', ');
  const message = `the policy asks for ${policy.rule}, and the proof has ${have}${stale}`;
  return err({ kind: 'cannot_tell', message });
}

/** Anchors of the policy that one piece of evidence is of, each with its time. */
async function timesOf(
  evidence: AnchorEvidence,
  input: JudgeInput,
): Promise<Result<readonly (readonly [string, number])[], JudgeError>> {
  if (evidence.kind === 'cosignature') return cosignatureTimes(evidence.line, input);
  if (evidence.kind === 'copy' || input.policy.authorities.size === 0) return ok([]);
  const { verifyToken } = await import('./timestamp-token.ts');
  const token = Buffer.from(evidence.token, 'base64');
  const found: [string, number][] = [];
  // Which authority it is of nothing says but its chain: one that fails may be another's.
  for (const [name, path] of input.policy.authorities) {
    let authorities: string;
    try {
      authorities = await readFile(resolve(dirname(input.policyPath), path), 'utf8');
    } catch (error) {
      return err({ kind: 'cannot_tell', message: messageOf(error) });
    }
    const time = await verifyToken(token, Buffer.from(input.note), authorities);
    if (time.ok) found.push([name, time.value.getTime()]);
  }
  if (found.length < 2) return ok(found);
  const names = found.map(([name]) => name).join(' and ');
  const message = `one time-stamp is of ${names}: in the policy they are one authority, which counts once`;
  return err({ kind: 'cannot_tell', message });
}

function cosignatureTimes(
  line: string,
  { note, policy }: JudgeInput,
): Result<readonly (readonly [string, number])[], JudgeError> {
  const parsed = parseNote(note);
  const text = parsed.ok ? parsed.value.text : '';
  const opened = openNote(`${text}\n${line}`, [...policy.witnesses.values()]);
  if (!opened.ok) {
    if (opened.error.kind === 'no_known_key') return ok([]);
    return err({ kind: 'invalid', message: `a cosignature is wrong: ${opened.error.message}` });
  }
  const { text: signed, verified } = opened.value;
  // With an empty line in it, it would be a signature over more than the checkpoint.
  if (signed !== text) return err({ kind: 'invalid', message: 'a cosignature is over other text' });
  return ok(
    verified.flatMap(({ key, bytes }) =>
      [...policy.witnesses]
        .filter(([, witness]) => witness === key && readTime(bytes) <= SECONDS_MAX)
        .map(([name]) => [name, Number(readTime(bytes)) * 1000] as const),
    ),
  );
}
