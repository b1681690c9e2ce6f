/** Task 5: secrets leave the event while it is built; what must stay comparable becomes a token. */
import { createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { createRedactor, parseRedactionKey } from '../../redaction/redaction.ts';
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { codeOf } from '../../schemas/result.ts';
import { createAudit } from '../../sdk/index.ts';
import { runCli, startAgentProcess, VOCABULARY } from '../support/agent-process.ts';
import { makeEvent } from '../support/events.ts';
import { makeTempDir } from '../support/ledger.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { draft, openTrail, type Trail } from './trail.ts';

const SSN = '536-22-8714';
const OTHER_SSN = '415-61-9023';
const PAN = '4539 1488 0343 6467';
const PASSWORD = 'correct-horse-battery';
/** The secrets in every spelling in which they could slip through. */
const FORBIDDEN = [SSN, SSN.replaceAll('-', ''), PAN, PAN.replaceAll(' ', ''), PASSWORD];

let trail: Trail;
beforeAll(async () => {
  trail = await openTrail();
});
afterAll(() => trail[Symbol.asyncDispose]());

/** Records an event with this metadata; returns the metadata that the ledger holds. */
async function recordWith(metadata: { readonly [name: string]: Json }) {
  const { event_id } = await trail.audit.record(draft({ metadata }));
  const record = (await trail.ledger()).find(({ event }) => event.event_id === event_id);
  return { event_id, metadata: record?.event.metadata ?? {} };
}

describeTask(5, (criterion) => {
  criterion('no raw SSN, no full card number and no password anywhere', async () => {
    const { metadata } = await recordWith({
      ssn: SSN,
      card_number: PAN,
      password: PASSWORD,
      nested: [{ pwd: PASSWORD, text: `SSN ${SSN}, card ${PAN}` }],
      kept: 'harmless',
    });
    expect(metadata).toMatchObject({
      ssn_token: expect.stringMatching(/^tok_[a-z2-7]{8}_[a-z2-7]{26}$/),
      card: { last4: '6467' },
      kept: 'harmless',
    });
    expect(Object.keys(metadata)).not.toContain('password');
    expect(await findForbidden(FORBIDDEN)).toEqual([]);
  });

  criterion('the same SSN gives the same token', async () => {
    const [first, second] = [await recordWith({ ssn: SSN }), await recordWith({ ssn: SSN })];
    expect(second.event_id).not.toBe(first.event_id);
    expect(second.metadata['ssn_token']).toBe(first.metadata['ssn_token']);
    // However it was written.
    const spelled = await recordWith({ ssn: SSN.replaceAll('-', ' ') });
    expect(spelled.metadata['ssn_token']).toBe(first.metadata['ssn_token']);
  });

  criterion('different SSNs give different tokens', async () => {
    const [first, second] = [await recordWith({ ssn: SSN }), await recordWith({ ssn: OTHER_SSN })];
    expect(second.metadata['ssn_token']).not.toBe(first.metadata['ssn_token']);
  });

  criterion('without the key it fails loudly and emits nothing raw', async () => {
    const { records } = (await trail.agent.status()).append;
    const { socketPath } = trail.agent;
    const keyless = () => createAudit({ service: 'shop', vocabulary: VOCABULARY, socketPath });
    vi.stubEnv('SEALTRAIL_REDACTION_KEY', undefined);
    expect(keyless).toThrow(expect.objectContaining({ code: 'redaction_key_missing' }));
    expect((await trail.agent.status()).append.records).toBe(records);
    // The command line, told to look where there is none; and an agent that may not make one.
    const emitted = await runCli(
      ['emit', '--data-dir', '/nonexistent', '--vocabulary', VOCABULARY],
      { input: JSON.stringify(draft({ metadata: { ssn: SSN } })) },
    );
    expect(emitted.code).toBe(2);
    expect(emitted.stdout + emitted.stderr).not.toContain(SSN);
    await using dir = await makeTempDir();
    const starting = startAgentProcess({
      dir: dir.path,
      config: { keys: { generate: false } },
      exporters: {},
    });
    await expect(starting).rejects.toThrow(/the agent ended[^]*redaction\.key/);
  });

  criterion('without the key a token cannot be reversed by a table', async () => {
    const { metadata } = await recordWith({ ssn: SSN });
    const token = String(metadata['ssn_token']);
    // The right SSN is among the guesses, the way tokens are made is public: only the key is missing.
    const guesses = [SSN, ...Array.from({ length: 500 }, (_, n) => `536-22-${8000 + n}`)];
    const key = parseRedactionKey(await trail.agent.redactionKey());
    if (!key.ok) throw new Error(key.error.message);
    expect(lookUp(guesses, key.value, token)).toBe(SSN);
    for (let count = 0; count < 20; count++)
      expect(lookUp(guesses, randomBytes(32), token)).toBeNull();
    // It is the keyed hash that the document describes, and no hash that needs no key.
    const digits = SSN.replaceAll('-', '');
    const tenantKey = hkdfSync('sha256', key.value, '', 'sealtrail/redaction/v1\nacme', 32);
    const keyed = createHmac('sha256', Buffer.from(tenantKey))
      .update(`ssn\n${digits}`)
      .digest('hex');
    expect(keyed.startsWith(hexOf(token))).toBe(true);
    expect(plainHashes(SSN).filter((hash) => hash.startsWith(hexOf(token)))).toEqual([]);
    expectDefence('docs/THREAT_MODEL.md', 'What a token hides', {
      says: [/HMAC/, /key/, /billion|10\^9|1,000,000,000/],
      names: ['redaction/tokens.ts'],
    });
  });

  criterion('forbidden substrings are nowhere in the serialized event', async () => {
    const secrets: readonly Json[] = [SSN, PAN, `pay ${PAN} now`, { password: PASSWORD }, [SSN]];
    for (const [place, value] of secrets.entries())
      await recordWith({ [`field_${place}`]: value, description: `${JSON.stringify(value)}` });
    await trail.audit.record(
      draft({
        actor: { type: 'user', id: 'u-1', name: `Ada ${SSN}` },
        resource: { type: 'customer', id: 'c-4', name: PAN },
        source: { user_agent: `curl ${PAN}` },
      }),
    );
    expect(await findForbidden(FORBIDDEN)).toEqual([]);
  });
});

/** Which forbidden text stands in which file of the data directory, the database's own included. */
async function findForbidden(forbidden: readonly string[]): Promise<string[]> {
  await trail.agent.delivered();
  const files = await readdir(trail.agent.dir, { recursive: true });
  const found = files.map(async (name) => {
    const bytes = await readIfFile(join(trail.agent.dir, name));
    return forbidden.filter((text) => bytes.includes(text)).map((text) => `${name}: ${text}`);
  });
  const printed = forbidden.filter((text) => trail.agent.output().includes(text));
  expect(files.some((name) => name.startsWith('postgres/'))).toBe(true);
  return [...(await Promise.all(found)).flat(), ...printed];
}

/** Empty for a folder, and for a file that has gone since it was listed: agent and database replace some. */
async function readIfFile(path: string): Promise<Buffer> {
  try {
    return (await stat(path)).isFile() ? await readFile(path) : Buffer.alloc(0);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return Buffer.alloc(0);
  }
}

/** The guess whose token it is, under this key. */
function lookUp(guesses: readonly string[], masterKey: Uint8Array, token: string): string | null {
  const redactor = createRedactor({ masterKey });
  const tokenOf = (ssn: string): unknown => {
    const event: AuditEvent = makeEvent({ metadata: { ssn } });
    return redactor.redactEvent(event).metadata['ssn_token'];
  };
  return guesses.find((guess) => tokenOf(guess) === token) ?? null;
}

/** The first 128 bits that a token spells in base32. */
function hexOf(token: string): string {
  const digits = [...token.slice(-26)].map((one) =>
    'abcdefghijklmnopqrstuvwxyz234567'.indexOf(one),
  );
  const bits = digits.map((digit) => digit.toString(2).padStart(5, '0')).join('');
  return BigInt(`0b${bits.slice(0, 128)}`)
    .toString(16)
    .padStart(32, '0');
}

function plainHashes(ssn: string): string[] {
  return [ssn, ssn.replaceAll('-', '')].flatMap((text) =>
    ['sha512', 'sha256', 'sha1', 'md5'].flatMap((name) => [
      createHash(name).update(text).digest('hex'),
      createHash(name).update(`ssn\n${text}`).digest('hex'),
      createHmac(name, '').update(`ssn\n${text}`).digest('hex'),
    ]),
  );
}
