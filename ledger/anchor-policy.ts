/**
 * The policy by which a verifier judges anchors: text, in the form of C2SP tlog-policy, with time-stamping
 * authorities beside witnesses.
 *
 *   witness <name> <vkey>
 *   timestamp <name> <file with the authorities' certificates, PEM>
 *   group <name> <number | any | all> <member> …
 *   quorum <number of all | name of a group or anchor | none>
 *
 * Pure.
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { KEY_TYPE, keyTextOf, parseVkey, type NoteVerifier } from './signing.ts';

export interface AnchorPolicy {
  readonly witnesses: ReadonlyMap<string, NoteVerifier>;
  /** Paths, as the file has them. */
  readonly authorities: ReadonlyMap<string, string>;
  /** Whether these anchors, by name, are enough. */
  isEnough(names: ReadonlySet<string>): boolean;
  /** The rule in words. */
  readonly rule: string;
}

type Rule = (names: ReadonlySet<string>) => boolean;

/** What stands for a number of anchors can be the name of none. */
const RESERVED = /^(none|any|all|[0-9]+)$/;

/** Reads a policy; the error names the line. */
export function parsePolicy(text: string): Result<AnchorPolicy, string> {
  const witnesses = new Map<string, NoteVerifier>();
  const authorities = new Map<string, string>();
  const rules = new Map<string, Rule>();
  const quorums: { readonly name: string; readonly line: number }[] = [];

  /** What is wrong with the line; null: nothing. */
  function take([word = '', name = '', ...rest]: readonly string[], line: number): string | null {
    if (word === 'quorum') {
      if (quorums.length > 0) return 'a second quorum';
      quorums.push({ name, line });
      return rest.length > 0 ? 'no such quorum' : null;
    }
    if (name === '' || rules.has(name)) return 'a name that is missing or taken';
    if (RESERVED.test(name)) return 'a name that means a number of them';
    const anchor: Rule = (names) => names.has(name);
    const [value = ''] = rest;
    switch (word) {
      case 'witness': {
        const key = parseVkey(value);
        if (!key.ok) return key.error;
        if (key.value.type !== KEY_TYPE.witness) return 'no key of a witness';
        // One key under two names would count twice.
        if ([...witnesses.values()].some(({ vkey }) => keyTextOf(vkey) === keyTextOf(value)))
          return 'the key of another witness as well';
        witnesses.set(name, key.value);
        break;
      }
      case 'timestamp':
        if (value === '') return 'no file with certificates';
        authorities.set(name, value);
        break;
      case 'group': {
        const [count = '', ...members] = rest;
        const own = members.map((member) => rules.get(member));
        if (members.length === 0 || own.includes(undefined)) return 'a group of unknown members';
        if (new Set(members).size < members.length) return 'a member that is named twice';
        const least = leastOf(count, members.length);
        if (least === null) return 'a group of a number that it cannot have';
        rules.set(name, (names) => own.filter((rule) => rule?.(names)).length >= least);
        return null;
      }
      default:
        return 'neither witness, timestamp, group nor quorum';
    }
    rules.set(name, anchor);
    return null;
  }

  function ruleOf(name: string): Rule | null {
    if (name === 'none') return () => true;
    const known = rules.get(name);
    if (known !== undefined) return known;
    const least = leastOf(name, witnesses.size + authorities.size);
    return least === null ? null : (names) => names.size >= least;
  }

  for (const [at, line] of text.split('\n').entries()) {
    const words = line
      .replace(/^\s*#.*/, '')
      .trim()
      .split(/\s+/);
    if (words[0] === '') continue;
    const fault = take(words, at + 1);
    if (fault !== null) return err(`line ${at + 1}: ${fault}`);
  }
  const [quorum] = quorums;
  if (quorum === undefined) return err('it has no quorum line');
  // At the end: `all` means those that follow the line as well.
  const rule = ruleOf(quorum.name);
  if (rule === null) return err(`line ${quorum.line}: no such quorum`);
  return ok({ witnesses, authorities, isEnough: rule, rule: quorum.name });
}

function leastOf(count: string, members: number): number | null {
  if (count === 'any') return 1;
  if (count === 'all') return members;
  const least = /^[1-9][0-9]{0,3}$/.test(count) ? Number(count) : 0;
  return least === 0 || least > members ? null : least;
}
