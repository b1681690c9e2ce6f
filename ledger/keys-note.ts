/**
 * The keys note: which keys an agent has signed with, each with the sizes that it may sign, and which of them are
 * revoked. A signed note of the root key, which is kept offline; its text, which the agent keeps:
 *
 *   sealtrail/keys/v1
 *   <name of the agent's keys> <number of the note, rising>
 *   <vkey> <origin, or *> <from> <to, or ->      a window, as in a trust file
 *   revoked <vkey> <time> <reason>
 *
 * The windows of an origin adjoin: from 0 on, each begins where the one before it ends, and the last is open. So one
 * key vouches for each size, and a newer one never for an older size. `*` is the newest key, for origins without a
 * line of their own: they begin under it. One text has one form. Pure.
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { openNote } from './note.ts';
import { isKeyName, type NoteVerifier } from './signing.ts';
import {
  formatWindow,
  parseLogKey,
  parseWindow,
  type KeyWindow,
  type Revocation,
  type Trust,
} from './trust.ts';

export interface Keys {
  /** Name of the agent's keys, `sealtrail/<agent>`. */
  readonly agent: string;
  readonly number: number;
  readonly windows: readonly KeyWindow[];
  readonly revoked: readonly Revocation[];
}

const VERSION = 'sealtrail/keys/v1';
const AGENT = /^(\S+) ([1-9][0-9]{0,8})$/;
const REVOKED = /^revoked (\S+) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([^\p{Cc}]{1,200})$/u;

/** The first keys of an agent: one, for everything. */
export function beginKeys(agent: string, vkey: string): Keys {
  return { agent, number: 1, windows: [{ vkey, origin: '*', from: 0n, to: null }], revoked: [] };
}

/** The key that signs now. */
export function currentKey({ windows }: Keys): string {
  return windows.find(({ origin }) => origin === '*')?.vkey ?? '';
}

/** All keys, the oldest first. */
export function keysOf({ windows, revoked }: Keys): readonly string[] {
  return [...new Set([...windows, ...revoked].map(({ vkey }) => vkey))];
}

/**
 * Lets another key take over. `signed`: for each origin the largest size that a key has signed. That size is
 * still the old key's, all beyond it are the new one's.
 */
export function rotateKeys(keys: Keys, vkey: string, signed: ReadonlyMap<string, bigint>): Keys {
  const old = currentKey(keys);
  const named = new Set(keys.windows.map(({ origin }) => origin));
  const closed = keys.windows.filter(({ to }) => to !== null);
  const open = keys.windows.filter(({ origin, to }) => to === null && origin !== '*');
  for (const origin of signed.keys())
    if (!named.has(origin)) open.push({ vkey: old, origin, from: 0n, to: null });
  for (const { origin, from } of open) {
    const to = (signed.get(origin) ?? -1n) + 1n;
    if (to > from) closed.push({ vkey: old, origin, from, to });
  }
  const next = open.map(({ origin, from }) => {
    const to = (signed.get(origin) ?? -1n) + 1n;
    return { vkey, origin, from: to > from ? to : from, to: null };
  });
  const windows = [...closed, ...next, { vkey, origin: '*', from: 0n, to: null }];
  return { ...keys, number: keys.number + 1, windows };
}

/** Takes the trust off a key. The one that signs now MUST be replaced first. */
export function revokeKey(keys: Keys, { vkey, time, reason }: Revocation): Result<Keys, string> {
  if (!keysOf(keys).includes(vkey)) return err('no key of this agent has this id');
  if (vkey === currentKey(keys))
    return err('the key signs now; replace it first: `sealtrail keys rotate`, then revoke it');
  const revoked = keys.revoked.filter((one) => one.vkey !== vkey);
  if (revoked.length < keys.revoked.length) return err('the key is revoked already');
  const next = { ...keys, number: keys.number + 1, revoked: [...revoked, { vkey, time, reason }] };
  return parseKeys(formatKeys(next)).ok
    ? ok(next)
    : err('a reason is one line of 1 to 200 letters');
}

/** Writes the text of a keys note. */
export function formatKeys({ agent, number, windows, revoked }: Keys): string {
  const gone = revoked.map(({ vkey, time, reason }) => `revoked ${vkey} ${time} ${reason}\n`);
  return `${VERSION}\n${agent} ${number}\n${windows.map(formatWindow).join('')}${gone.join('')}`;
}

/** Reads the text of a keys note; the error says what is wrong with it. */
export function parseKeys(text: string): Result<Keys, string> {
  const [version, head = '', ...lines] = text.split('\n');
  const [, agent = '', number = ''] = AGENT.exec(head) ?? [];
  if (version !== VERSION || !isKeyName(agent)) return err('it is no text of a keys note');
  const windows: KeyWindow[] = [];
  const revoked: Revocation[] = [];
  for (const line of lines.slice(0, -1)) {
    const [, gone, time = '', reason = ''] = REVOKED.exec(line) ?? [];
    if (gone !== undefined) {
      revoked.push({ vkey: gone, time, reason });
      continue;
    }
    const [vkey = '', origin = '', from = '', to = ''] = line.split(' ');
    const window = parseWindow(vkey, origin, from, to);
    const key = parseLogKey(vkey);
    if (!key.ok) return err(key.error);
    if (window === null || key.value.name !== agent || !isBelow(origin, agent))
      return err(`a line is no window of a key of ${agent}`);
    windows.push(window);
  }
  const keys = { agent, number: Number(number), windows, revoked };
  // One form: what is signed is what was read.
  if (formatKeys(keys) !== text)
    return err('it is not in the form in which a keys note is written');
  const fault = findFault(keys);
  return fault === null ? ok(keys) : err(fault);
}

/** Opens a keys note that the root has signed. */
export function openKeysNote(note: string, root: NoteVerifier): Result<Keys, string> {
  const opened = openNote(note, [root]);
  return opened.ok ? parseKeys(opened.value.text) : err(opened.error.message);
}

/** The trust that keys are worthy of. */
export function trustOf(keys: Keys): Trust {
  const verifiers = keysOf(keys).flatMap((vkey) => {
    const key = parseLogKey(vkey);
    return key.ok ? [key.value] : [];
  });
  return { keys: verifiers, windows: keys.windows, revoked: keys.revoked };
}

/**
 * What speaks against signing `next` after `before`; null for nothing. What was closed or revoked stays as it was,
 * and no key that was replaced comes back: a host that was taken over cannot have its past written anew.
 */
export function findBreach(before: Keys, next: Keys): string | null {
  if (before.agent !== next.agent) return `it is of ${next.agent}, not of ${before.agent}`;
  if (next.number <= before.number)
    return `its number ${next.number} does not follow number ${before.number}`;
  const written = new Set(next.windows.map(formatWindow));
  const changed = before.windows.find((one) => one.to !== null && !written.has(formatWindow(one)));
  if (changed !== undefined) return `it changes a closed window: ${formatWindow(changed).trim()}`;
  const isKept = (old: Revocation): boolean =>
    next.revoked.some(
      ({ vkey, time, reason }) => vkey === old.vkey && time === old.time && reason === old.reason,
    );
  const unsaid = before.revoked.find((old) => !isKept(old));
  if (unsaid !== undefined) return `it takes back that ${unsaid.vkey} is revoked`;
  const retired = new Set(keysOf(before).filter((vkey) => vkey !== currentKey(before)));
  const known = new Set(before.windows.map(formatWindow));
  const returned = next.windows.find(
    (one) => retired.has(one.vkey) && !known.has(formatWindow(one)),
  );
  if (returned === undefined) return null;
  return `it gives a replaced key a new window: ${formatWindow(returned).trim()}`;
}

function isBelow(origin: string, agent: string): boolean {
  return origin === '*' || (origin.startsWith(`${agent}/`) && isKeyName(origin));
}

/** What is wrong with the windows as a whole; null for nothing. */
function findFault({ windows, revoked }: Keys): string | null {
  const ends = new Map<string, bigint | null>();
  for (const { origin, from, to } of windows) {
    const end = ends.get(origin);
    if (end === null || from !== (end ?? 0n) || (to !== null && to <= from))
      return `the windows of ${origin} do not adjoin`;
    ends.set(origin, to);
  }
  const newest = windows.filter(({ origin }) => origin === '*');
  if (newest.length !== 1 || newest[0]?.to !== null) return 'there is not one key for new origins';
  const isOpenElsewhere = ({ vkey, to }: KeyWindow): boolean =>
    to === null && vkey !== newest[0]?.vkey;
  if (windows.some(isOpenElsewhere)) return 'a replaced key has a window without an end';
  if ([...ends.values()].some((end) => end !== null))
    return 'the last window of an origin is closed';
  const ids = new Set(revoked.map(({ vkey }) => vkey));
  if (ids.size < revoked.length) return 'a key is revoked twice';
  const known = new Set(windows.map(({ vkey }) => vkey));
  return [...ids].every((vkey) => known.has(vkey) && vkey !== newest[0]?.vkey)
    ? null
    : 'a key is revoked that signs now, or is not known';
}
