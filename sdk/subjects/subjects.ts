/**
 * Tokens of people, for one process: from a cache, else from the vault, in batches. What is asked for at the same
 * time is asked once. A vault that is away costs a wait once, then nothing for a moment: record() fails at once.
 */
import { performance } from 'node:perf_hooks';
import { parseVaultKeys, type VaultKeyRing } from '../../redaction/subjects/vault-keys.ts';
import { messageOf } from '../../schemas/result.ts';
import { AuditError, AuditErrorCode } from '../errors.ts';
import { createCache } from './cache.ts';
import { createVaultClient, type Person, type VaultClient } from './vault-client.ts';

export interface SubjectsOptions {
  /** The vault's database, as a member of sealtrail_vault_writer. Its pool connects again by itself. */
  readonly client: VaultClient;
  /** Lines of the file for applications that `sealtrail vault init` wrote. Default: $SEALTRAIL_VAULT_KEYS. */
  readonly keys?: string;
  /** People whose tokens are kept in memory, at most. Default 10,000. */
  readonly cacheMax?: number;
  /** For how long: so long an erased person's old token may still come. Default 60,000 milliseconds. */
  readonly cacheMs?: number;
  /** How long an event may wait for the vault. Default 2,000 milliseconds. */
  readonly timeoutMs?: number;
  /** A clock that only goes on, in milliseconds. Default: performance.now. */
  readonly clock?: { nowMs(): number };
}

/** Gives people their tokens; pass it to createAudit. */
export interface Subjects {
  /** A token that is at hand; undefined where the vault has to be asked. */
  known(person: Person): string | undefined;
  /** Tokens, in the order of the people. Rejects with AuditError `subject_unavailable`. */
  tokensOf(people: readonly Person[]): Promise<readonly string[]>;
}

interface Asked {
  readonly person: Person;
  readonly resolve: (token: string) => void;
  readonly reject: (error: AuditError) => void;
}

const DEFAULT_CACHE_MAX = 10_000;
const DEFAULT_CACHE_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 2000;
/** Sealing one person takes a third of a millisecond. */
const BATCH_MAX = 100;
/** More people than that in wait, and the vault does not keep up. */
const WAITING_MAX = 10_000;
/** After a failure nobody waits for so long. */
const COOL_DOWN_MS = 1000;

/**
 * Creates the subjects of an application.
 * @throws AuditError `options_invalid`.
 * @example
 * const subjects = createSubjects({ client: new pg.Pool({ connectionString: vaultUrl }) });
 * const audit = createAudit({ service: 'shop', vocabulary: 'config/vocabulary.json', subjects });
 */
export function createSubjects(options: SubjectsOptions): Subjects {
  const { cacheMax = DEFAULT_CACHE_MAX, cacheMs = DEFAULT_CACHE_MS } = options;
  const { timeoutMs = DEFAULT_TIMEOUT_MS, clock = { nowMs: () => performance.now() } } = options;
  demand(Number.isSafeInteger(cacheMax) && cacheMax >= 1, 'cacheMax', 'an integer from 1');
  demand(cacheMs >= 0, 'cacheMs', 'milliseconds, from 0');
  demand(timeoutMs >= 1, 'timeoutMs', 'milliseconds, from 1');
  const ask = createVaultClient(options.client, ringOf(options.keys));
  const cache = createCache(cacheMax, cacheMs, clock.nowMs);
  const waiting = new Map<string, Promise<string>>();
  let asked: Asked[] = [];
  let failure: { readonly error: AuditError; readonly untilMs: number } | null = null;

  function tokenOf(person: Person): Promise<string> {
    const key = keyOf(person);
    const same = waiting.get(key);
    if (same !== undefined) return same;
    if (failure !== null && clock.nowMs() < failure.untilMs) return Promise.reject(failure.error);
    if (waiting.size >= WAITING_MAX)
      return Promise.reject(unavailable(`${WAITING_MAX} people wait for it`, undefined));
    const token = new Promise<string>((resolve, reject) => {
      // Those of one turn go together.
      if (asked.length === 0) setImmediate(flush);
      asked.push({ person, resolve, reject });
    });
    waiting.set(key, token);
    const settled = (): void => void waiting.delete(key);
    token.then(settled, settled);
    return token;
  }

  function flush(): void {
    const all = asked;
    asked = [];
    for (let at = 0; at < all.length; at += BATCH_MAX) void answer(all.slice(at, at + BATCH_MAX));
  }

  async function answer(batch: readonly Asked[]): Promise<void> {
    const tooLate = setTimeout(() => fail(batch, `no answer within ${timeoutMs} ms`), timeoutMs);
    try {
      const tokens = await ask(batch.map(({ person }) => person));
      failure = null;
      batch.forEach(({ person, resolve }, index) => {
        const token = tokens[index] ?? '';
        cache.set(keyOf(person), token);
        resolve(token);
      });
    } catch (thrown) {
      fail(batch, messageOf(thrown), thrown);
    } finally {
      clearTimeout(tooLate);
    }
  }

  function fail(batch: readonly Asked[], why: string, cause?: unknown): void {
    const error = unavailable(why, cause);
    failure = { error, untilMs: clock.nowMs() + COOL_DOWN_MS };
    for (const { reject } of batch) reject(error);
  }

  return {
    known: (person) => cache.get(keyOf(person)),
    tokensOf: (people) => Promise.all(people.map(tokenOf)),
  };
}

/** No part but the last can have a line end in it. */
function keyOf({ tenant, purpose, identity }: Person): string {
  return `${tenant}\n${purpose}\n${identity}`;
}

function unavailable(why: string, cause: unknown): AuditError {
  const message = `the vault gives no tokens: ${why}`;
  return new AuditError(AuditErrorCode.subjectUnavailable, message, {
    cause,
    hint: 'Is the vault reachable, and its key version in use? `sealtrail vault status`',
  });
}

function ringOf(keys: string | undefined): VaultKeyRing {
  const ring = parseVaultKeys(keys ?? process.env['SEALTRAIL_VAULT_KEYS'] ?? '');
  // With those an application that is broken into could read everybody.
  const isPrivate = ring.ok && ring.value.some(({ privateKey }) => privateKey !== null);
  if (ring.ok && !isPrivate) return ring.value;
  const why = ring.ok ? "these are the administrator's, which open envelopes" : ring.error;
  throw new AuditError(AuditErrorCode.optionsInvalid, `createSubjects: keys: ${why}`, {
    hint: 'Set SEALTRAIL_VAULT_KEYS to the content of the file that ends in .application.',
  });
}

function demand(holds: boolean, option: string, wanted: string): void {
  if (holds) return;
  const message = `createSubjects: ${option} must be ${wanted}`;
  throw new AuditError(AuditErrorCode.optionsInvalid, message);
}
