/**
 * What the SDK asks of the vault: the tokens of people it knows, and room for one it does not know yet. Digests
 * and sealed envelopes go there, never an identity. The driver is the application's, by shape, as in the outbox.
 */
import { lookupOf, sealIdentity } from '../../redaction/subjects/envelope.ts';
import { createSubjectToken, type SubjectBinding } from '../../redaction/subjects/identity.ts';
import type { VaultKeyRing } from '../../redaction/subjects/vault-keys.ts';

type Query = (text: string, values: unknown[]) => Promise<{ readonly rows: unknown[] }>;

/** A pool of connections to the vault: pg's Pool, or a function around any other driver. */
export type VaultClient =
  Query | { query(text: string, values: unknown[]): Promise<{ readonly rows: unknown[] }> };

/** Somebody, in one part; the identity is normalized. */
export interface Person extends SubjectBinding {
  readonly identity: string;
}

/** Of adding who was not found. */
const ATTEMPTS_MAX = 3;

/** Creates the function that finds the tokens of people, in their order, and adds whom the vault does not know. */
export function createVaultClient(
  client: VaultClient,
  ring: VaultKeyRing,
): (people: readonly Person[]) => Promise<readonly string[]> {
  const query: Query =
    typeof client === 'function' ? client : (text, values) => client.query(text, values);

  async function find(people: readonly Person[]): Promise<readonly (string | undefined)[]> {
    const lookups = people.map((one) => ring.map((key) => lookupOf(key, one, one.identity)));
    const { rows } = await query('SELECT lookup, token FROM vault.tokens_of(CAST($1 AS text[]))', [
      lookups.flat(),
    ]);
    const tokens = new Map(
      (rows as { lookup: string; token: string }[]).map((row) => [row.lookup, row.token]),
    );
    return lookups.map((own) => own.map((lookup) => tokens.get(lookup)).find(Boolean));
  }

  /**
   * In one transaction, and in the order of their oldest digests, so that two who add the same people wait for
   * one another in turn. Whoever is faster gives the token; null: that one was erased at this moment.
   */
  async function add(people: readonly Person[]): Promise<void> {
    const rows = people
      .map((person) => rowOf(person, ring))
      .sort((a, b) => (a.lookups < b.lookups ? -1 : 1));
    const column = (name: keyof NewSubject): string[] => rows.map((row) => row[name]);
    await query(
      `SELECT vault.add_subject(n.token, n.tenant, n.purpose, n.sealed_to, n.wrapped_key, n.identity,
         string_to_array(n.lookups, ','), string_to_array(n.versions, ','))
       FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS text[]),
         CAST($5 AS text[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS text[]))
         AS n (token, tenant, purpose, sealed_to, wrapped_key, identity, lookups, versions)`,
      COLUMNS.map(column),
    );
  }

  return async (people) => {
    for (let attempt = 1; ; attempt++) {
      const found = await find(people);
      const tokens = found.filter((token) => token !== undefined);
      if (tokens.length === people.length) return tokens;
      if (attempt > ATTEMPTS_MAX) throw new Error('people are erased as often as they are added');
      await add(people.filter((_, index) => found[index] === undefined));
    }
  };
}

const COLUMNS = [
  ...(['token', 'tenant', 'purpose', 'sealedTo'] as const),
  ...(['wrappedKey', 'identity', 'lookups', 'versions'] as const),
];

type NewSubject = Readonly<Record<(typeof COLUMNS)[number], string>>;

/** Under all keys of the ring, the oldest first. */
function rowOf(person: Person, ring: VaultKeyRing): NewSubject {
  const token = createSubjectToken();
  const { tenant, purpose, identity } = person;
  const sealed = sealIdentity(ring[0], { tenant, purpose, token }, identity);
  const oldestFirst = ring.toReversed();
  return {
    ...{ token, tenant, purpose, sealedTo: sealed.keyVersion },
    wrappedKey: Buffer.from(sealed.wrappedKey).toString('hex'),
    identity: Buffer.from(sealed.identity).toString('hex'),
    lookups: oldestFirst.map((key) => lookupOf(key, person, identity)).join(),
    versions: oldestFirst.map(({ version }) => version).join(),
  };
}
