/** Judges what a bundle shows of anchors by a policy: each stream must have been with so many of them. */
import { judgeAnchors } from '../agent/checkpoint/anchors/judge.ts';
import type { BundleCheck } from '../auditor/check/bundle.ts';
import type { CheckLine } from '../auditor/check/line.ts';
import type { PolicyFile } from './verify-known.ts';

/** The same check with what came of it; what is broken stays broken. */
export async function judgeBundleAnchors(
  check: BundleCheck,
  { policy, path: policyPath }: PolicyFile,
): Promise<BundleCheck> {
  const { certificate, anchored } = check;
  const lines: CheckLine[] = [];
  const what = 'anchor';
  for (const { stream } of certificate?.streams ?? []) {
    const found = anchored.find((one) => one.stream === stream);
    if (found === undefined) {
      lines.push({
        what,
        state: 'open',
        text: `the bundle does not show that ${stream} was anchored`,
      });
      continue;
    }
    const { note, evidence, time: roundTime, size } = found;
    const judged = await judgeAnchors({ note, evidence, policy, policyPath, roundTime });
    if (judged.ok) {
      const { time, by } = judged.value;
      const since =
        time === null ? 'the policy asks for no anchor' : `anchored at ${time} by ${by.join(', ')}`;
      lines.push({ what, state: 'ok', text: `${stream} up to size ${size}: ${since}` });
    } else {
      const state = judged.error.kind === 'invalid' ? 'failed' : 'open';
      lines.push({ what, state, text: `${stream}: ${judged.error.message}` });
    }
  }
  const all = { ...check, lines: [...check.lines, ...lines] };
  const failed = lines.find(({ state }) => state === 'failed');
  if (check.verdict === 'broken' || lines.every(({ state }) => state === 'ok')) return all;
  if (failed !== undefined)
    return { ...all, verdict: 'broken', finding: `BROKEN in its anchor: ${failed.text}.` };
  const open = lines.find(({ state }) => state === 'open')?.text ?? '';
  return { ...all, verdict: 'cannot_tell', finding: `Cannot tell: ${open}.` };
}
