/**
 * The key ring: which key signs, and how another one takes over. A rotation is a row of steps, each durable before
 * the next, so that one that was cut off anywhere is completed by the next start (or by asking again):
 *
 *   1. the next key is on disk                       nothing is rotated yet: it may lie there prepared for long
 *   2. rotation.json names both keys                 from here on it is completed
 *   3. the record `key.rotate`, under the old key
 *   4. both keys sign, until all that is durable, and the anchor log, is under both
 *   5. windows.txt says which key vouches for which sizes: the new key is the one that signs
 *   6. the new key takes the place of the old one, which is destroyed with that
 *   7. the record that it is done, with the hash of windows.txt; rotation.json goes; the new key signs alone
 */
import { createHash } from 'node:crypto';
import type { Filesystem } from '../ledger/filesystem.ts';
import {
  beginKeys,
  currentKey,
  formatKeys,
  keysOf,
  revokeKey,
  rotateKeys,
  type Keys,
} from '../ledger/keys-note.ts';
import type { KeysConfig } from '../schemas/keys-config.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { createKeyFiles, promoteKey, type Rotation } from './key-files.ts';
import { makeNextKey, type AgentKeys } from './keys.ts';
import type { KeyPorts, KeyReport } from './key-ports.ts';
import { createSigner, keyNameOf, vkeyOf, type SigningKey } from './signing-key.ts';

export interface KeyRing {
  /** Those that sign now: one, or both while one takes over from the other. */
  signing(): readonly SigningKey[];
  /** Every key that has signed, or signs, as text. */
  vkeys(): readonly string[];
  /** Base64 of the 32 bytes of the key that new streams name. */
  publicKey(): string;
  /** Whether a rotation was cut off; `rotate` completes it. */
  isInterrupted(): boolean;
  report(): Promise<KeyReport>;
  /** Writes down which key signs: another one is refused from then on. */
  pin(): Promise<Result<KeyReport, string>>;
  /** Makes the next key known, and changes nothing else. */
  prepare(): Promise<Result<KeyReport, string>>;
  /** Lets the next key take over, or completes what was cut off. Never rejects. */
  rotate(ports: KeyPorts): Promise<Result<KeyReport, string>>;
  /** Takes the trust off a key, named by its id or whole. Never rejects. */
  revoke(key: string, reason: string, ports: KeyPorts): Promise<Result<KeyReport, string>>;
}

export interface KeyRingOptions {
  readonly dataDir: string;
  readonly agent: string;
  readonly config: KeysConfig;
  readonly keys: Pick<AgentKeys, 'signing' | 'next'>;
  readonly filesystem: Filesystem;
  readonly warn: (message: string) => void;
  readonly nowMs: () => number;
}

/** Opens the ring of a data directory that nobody else writes to; an error says why no key may sign. */
export async function openKeyRing(options: KeyRingOptions): Promise<Result<KeyRing, string>> {
  const { agent, config, filesystem } = options;
  const files = createKeyFiles(filesystem, options.dataDir);
  const vkey = (key: SigningKey): string => vkeyOf(agent, key);
  let { signing: active, next } = options.keys;
  let keys = await files.readKeys();
  let rotation = await files.readRotation();
  let isRecorded = false;
  let running: Promise<unknown> = Promise.resolve();

  if (keys !== null && currentKey(keys) !== vkey(active)) {
    // Step 5 was reached: the key in the old place signs nothing any more.
    if (next === null || currentKey(keys) !== vkey(next))
      return err(
        `the signing key is ${vkey(active)}, and keys/windows.txt says that ${currentKey(keys)} signs; ` +
          'put that key back, or the windows that belong to this one. Keys are replaced by `sealtrail keys rotate`',
      );
    [active, next] = [next, null];
  }
  if (rotation !== null && !isPossible(rotation)) {
    options.warn(`the rotation to ${rotation.to} is given up: there is no such key any more`);
    await files.endRotation();
    rotation = null;
  }

  function isPossible({ from, to }: Rotation): boolean {
    if (to === vkey(active)) return true;
    return from === vkey(active) && next !== null && to === vkey(next);
  }

  const signing = (): readonly SigningKey[] =>
    rotation !== null && next !== null ? [active, next] : [active];
  const current = (): Keys => keys ?? beginKeys(keyNameOf(agent), vkey(active));

  async function nextKey(): Promise<SigningKey> {
    if (next !== null) return next;
    if (config.signing_key_file === undefined || config.next !== undefined)
      throw new Error(
        'the signing key lies in no file of the agent; name the key that takes over in keys.next and start the agent again',
      );
    const made = await makeNextKey(filesystem, config.signing_key_file);
    if (!made.ok) throw new Error(made.error);
    return made.value;
  }

  async function begin(ports: KeyPorts): Promise<Rotation> {
    const coming = await nextKey();
    const found = { from: vkey(active), to: vkey(coming) };
    if (keysOf(current()).includes(found.to))
      throw new Error(`the next key ${found.to} has signed before; a key never comes back`);
    next = coming;
    // A signer that does not sign is found before anything is changed.
    await createSigner(agent, next).sign('sealtrail/key-trial/v1\n');
    await files.beginRotation(found);
    rotation = found;
    isRecorded = false;
    ports.signWith([active, next]);
    return found;
  }

  /** Steps 3 to 5. */
  async function takeOver(found: Rotation, ports: KeyPorts): Promise<void> {
    if (!isRecorded) await tell(ports, 'key.rotate', found.to, { phase: 'begun', ...found });
    isRecorded = true;
    const signed = await ports.signAll();
    const rotated = rotateKeys(current(), found.to, signed);
    await files.writeKeys(rotated);
    keys = rotated;
  }

  /** Steps 6 and 7. */
  async function settle(found: Rotation, ports: KeyPorts): Promise<void> {
    // Read back, the text need not have reached the disk.
    await files.writeKeys(current());
    if (config.signing_key_file !== undefined && config.next === undefined)
      await promoteKey(filesystem, config.signing_key_file);
    if (next !== null && vkey(next) === found.to) [active, next] = [next, null];
    const keys_sha256 = createHash('sha256').update(formatKeys(current())).digest('hex');
    const said = { phase: 'completed', ...found, keys_number: current().number, keys_sha256 };
    await tell(ports, 'key.rotate', found.to, said);
    await files.endRotation();
    rotation = null;
    ports.signWith([active]);
  }

  async function tell(
    ports: KeyPorts,
    action: string,
    id: string,
    metadata: Parameters<KeyPorts['record']>[2],
  ): Promise<void> {
    const isTaken = await ports.record(action, { type: 'key', id }, metadata);
    if (!isTaken) throw new Error('the ledger does not take the record; see `sealtrail status`');
  }

  function report(): KeyReport {
    const { number, windows, revoked } = current();
    const prepared = next === null ? null : vkey(next);
    return {
      current: vkey(active),
      next: prepared,
      rotating: rotation !== null,
      number,
      windows,
      revoked,
    };
  }

  /** One at a time. */
  function queue(work: () => Promise<void>): Promise<Result<KeyReport, string>> {
    const done = running.then(work).then(
      () => ok(report()),
      (error: unknown) => err(messageOf(error)),
    );
    running = done;
    return done;
  }

  return ok({
    signing,
    vkeys: () => [...new Set([...keysOf(current()), ...signing().map(vkey)])],
    publicKey: () => Buffer.from(active.publicKey).toString('base64'),
    isInterrupted: () => rotation !== null,
    report: () => running.then(report),
    pin: () =>
      queue(async () => {
        if (keys !== null) return;
        await files.writeKeys(current());
        keys = current();
      }),
    prepare: () =>
      queue(async () => {
        next = await nextKey();
      }),
    rotate: (ports) =>
      queue(async () => {
        const found = rotation ?? (await begin(ports));
        if (currentKey(current()) !== found.to) await takeOver(found, ports);
        await settle(found, ports);
      }),
    revoke: (key, reason, ports) =>
      queue(async () => {
        const [found, ...more] = keysOf(current()).filter(
          (one) => one === key || one.split('+')[1] === key,
        );
        if (found === undefined || more.length > 0)
          throw new Error(`${key} names no key, or more than one; see \`sealtrail keys list\``);
        const time = new Date(options.nowMs()).toISOString();
        const revoked = revokeKey(current(), { vkey: found, time, reason });
        if (!revoked.ok) throw new Error(revoked.error);
        await tell(ports, 'key.revoke', found, { key: found, reason });
        await files.writeKeys(revoked.value);
        keys = revoked.value;
      }),
  });
}
