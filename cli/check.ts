/** `sealtrail check`: judges a proof, or a bundle (check-bundle.ts), with nothing but the file and trusted keys. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { judgeAnchors, type Anchored } from '../agent/checkpoint/anchors/judge.ts';
import { parsePolicy } from '../ledger/anchor-policy.ts';
import { verifyProof, type Proven } from '../ledger/proof-file.ts';
import { messageOf } from '../schemas/result.ts';
import { isBundle, runCheckBundle } from './check-bundle.ts';
import { printableJson, say } from './printable.ts';
import { readTrust } from './trust-file.ts';

const EXAMPLES = `
Examples:
  $ sealtrail check event.proof --trust keys.txt
  $ sealtrail check event.proof --trust keys.txt --json | jq .event.actor
  $ sealtrail check event.proof --trust keys.note --root root.pub
  $ sealtrail check event.proof --trust keys.txt --policy policy.txt     which witnesses and time-stamps must vouch
  $ sealtrail check finding.zip --trust keys.txt --require-signature     and an auditor whom you trust vouches for it
  $ sealtrail check finding.zip --trust keys.txt                         an evidence bundle, as \`sealtrail ask --export\` writes it

keys.txt holds a key a line: sealtrail/<agent>+<8 hex digits>+<base64>, as \`sealtrail keys list\` prints it on the
agent's host; ask for it in another way than the proof came. Behind a key may stand an origin (or *) and the sizes
[from, to) that it may sign. No database, no agent, no network is asked.

policy.txt, in the form of C2SP tlog-policy: \`witness <name> <vkey>\`, \`timestamp <name> <ca.pem>\`, \`quorum <k>\`,
a line each. With it the proof must show that so many of them had the checkpoint, or the answer is "cannot tell".

Of a bundle all is checked: its files, each row, the range, the tree, the signatures. Without --trust that is "cannot tell".
One that no auditor's key of keys.txt has signed is marked UNSIGNED: its records are as they were sealed, and whether they are
all of the answer nobody vouches for; with --require-signature that is "cannot tell" (2).

Exit codes: 0 proven, 1 refuted (the record, the tree or a signature is not what it says, or the key may not have
signed that), 2 cannot tell (no proof file, or no key that is trusted, and not revoked, has signed it).`;

export interface CheckOptions {
  readonly trust?: string;
  readonly root?: string;
  readonly policy?: string;
  readonly requireSignature?: boolean;
  readonly json?: boolean;
}

/** Adds the command. */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('check a proof, or an evidence bundle, offline')
    .argument('<proof>', 'a file that `sealtrail prove` wrote; or a bundle, a folder or a .zip')
    .option('--trust <keys>', 'file with the keys that you trust, or a keys note')
    .option('--root <key>', 'public key of the root that signed the keys note, or a file with it')
    .option('--policy <file>', 'file with the anchors that must vouch for it')
    .option('--require-signature', 'of a bundle: a key that you trust must have signed it')
    .option('--json', 'print the verdict and the event as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: CheckOptions) => {
      process.exitCode = (await isBundle(path))
        ? await runCheckBundle(path, options)
        : await runCheck(path, options);
    });
}

type Verdict = 'proven' | 'refuted' | 'cannot_tell';
const CODES: Readonly<Record<Verdict, number>> = { proven: 0, refuted: 1, cannot_tell: 2 };

async function runCheck(path: string, options: CheckOptions): Promise<number> {
  const { json } = options;
  const said = await judgeProof(path, options);
  if (json === true) console.log(printableJson(said, 2));
  else print(said);
  return CODES[said.verdict];
}

export type JudgedProof =
  | (Omit<Proven, 'size' | 'anchor'> & {
      readonly verdict: 'proven';
      readonly size: string;
      readonly anchor: {
        readonly origin: string;
        readonly size: string;
        readonly time: string;
        readonly by: string | null;
      } | null;
      /** Null: no policy was given. */
      readonly anchored: Anchored | null;
    })
  | { readonly verdict: 'refuted' | 'cannot_tell'; readonly reason: string };

/** Judges a proof file, as `check` does. */
export async function judgeProof(
  path: string,
  { trust: trustPath, root, policy: policyPath }: CheckOptions,
): Promise<JudgedProof> {
  const unread = (reason: string): JudgedProof => ({ verdict: 'cannot_tell', reason });
  let texts: readonly string[];
  try {
    const files = [path, ...(policyPath === undefined ? [] : [policyPath])];
    texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  } catch (error) {
    return unread(messageOf(error));
  }
  const [text = '', policyText] = texts;
  if (trustPath === undefined) return unread('name the keys that you trust, --trust');
  const trust = await readTrust(trustPath, root);
  if (!trust.ok) return unread(trust.error);
  const proven = verifyProof(text, trust.value);
  if (!proven.ok) {
    const verdict = proven.error.kind === 'invalid' ? 'refuted' : 'cannot_tell';
    return { verdict, reason: proven.error.message };
  }
  const { size, anchor, ...rest } = proven.value;
  let anchored: Anchored | null = null;
  if (policyText !== undefined && policyPath !== undefined) {
    const policy = parsePolicy(policyText);
    if (!policy.ok) return unread(`${policyPath}: ${policy.error}`);
    if (anchor === null)
      return unread('the checkpoint was not in the anchor log yet: no anchor has it');
    const { note, evidence, time: roundTime } = anchor;
    const judged = await judgeAnchors({
      note,
      evidence,
      policy: policy.value,
      policyPath,
      roundTime,
    });
    if (!judged.ok) {
      const verdict = judged.error.kind === 'invalid' ? 'refuted' : 'cannot_tell';
      return { verdict, reason: judged.error.message };
    }
    anchored = judged.value;
  }
  return {
    verdict: 'proven',
    ...rest,
    size: String(size),
    anchor: anchor && {
      ...{ origin: anchor.origin, size: String(anchor.size) },
      ...{ time: anchor.time, by: anchor.by },
    },
    anchored,
  };
}

function print(said: JudgedProof): void {
  if (said.verdict !== 'proven') {
    say(`${said.verdict === 'refuted' ? 'REFUTED' : 'cannot tell'}: ${said.reason}`);
    return;
  }
  const { event, stream, seq, size, anchor, anchored } = said;
  say(
    `event   ${event.event_id}  ${event.event.action}  ${event.event.outcome}  ${event.event.time}`,
  );
  say(`stream  ${stream}  seq ${seq}, under a signed checkpoint of size ${size}`);
  say(
    anchor === null
      ? 'anchor  none: the checkpoint was not in the anchor log yet'
      : `anchor  in the agent's anchor log, signed at size ${anchor.size}; by the agent's clock not before ${anchor.time}${anchor.by === null ? '' : `, and by ${anchor.by}`}`,
  );
  for (const place of anchored?.copies ?? []) say(`copy    said to lie in ${place}: compare it`);
  const at = anchored?.time ?? null;
  say(
    at === null
      ? `verified to size ${size}; ${anchored === null ? 'no policy for anchors was given' : 'the policy asks for no anchor'}`
      : `verified to size ${size}, anchored at ${at} by ${anchored?.by.join(', ')}`,
  );
  say('proven: the record is in the stream, unchanged, at this place');
}
