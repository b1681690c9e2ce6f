import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  lookupOf,
  openIdentity,
  rewrap,
  sealIdentity,
  type Envelope,
} from '../../../redaction/subjects/envelope.ts';
import { createPublicKey } from 'node:crypto';
import {
  importPrivate,
  open,
  rawPrivate,
  rawPublic,
  seal,
} from '../../../redaction/subjects/hpke.ts';
import {
  createSubjectToken,
  isSubjectToken,
  normalizeIdentity,
} from '../../../redaction/subjects/identity.ts';
import {
  createVaultKey,
  formatVaultKeys,
  nextVersion,
  parseVaultKeys,
  type VaultKeyRing,
} from '../../../redaction/subjects/vault-keys.ts';
import { createRedactor } from '../../../redaction/redaction.ts';
import { makeEvent } from '../../support/events.ts';

const key = createVaultKey('v1');
const ring: VaultKeyRing = [key];
const binding = { tenant: 'acme', purpose: 'actor', token: createSubjectToken() } as const;

describe('hpke', () => {
  // SOURCE: keys, info, aad and text of RFC 9180, A.1.1; sealed for AES-256-GCM, which the RFC has no vector of, by
  // @hpke/core 1.9.0, after it had given the RFC's own result for AES-128-GCM.
  const hex = (text: string): Buffer => Buffer.from(text, 'hex');
  const secret = importPrivate(
    hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
  );
  const ephemeral = importPrivate(
    hex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736'),
  );
  const info = hex('4f6465206f6e2061204772656369616e2055726e');
  const aad = hex('436f756e742d30');
  const text = hex('4265617574792069732074727574682c20747275746820626561757479');
  const sealed = hex(
    '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431' +
      '090b7dc225419f7da9e8b460becfbb96a26c7964d79b8010d397fa838530a32a397b14f5776db19ff5e57734e0',
  );

  test('gives what another implementation gives for the keys of the RFC, and opens it', () => {
    expect(rawPublic(createPublicKey(secret)).toString('hex')).toBe(
      '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
    );
    expect(seal(createPublicKey(secret), info, aad, text, ephemeral)).toEqual(sealed);
    expect(open(secret, info, aad, sealed)).toEqual(text);
  });

  test('opens nothing in which a bit was changed, nor with another key, info or aad', () => {
    for (let at = 0; at < sealed.length; at++) {
      const other = Buffer.from(sealed);
      other[at] = (other[at] ?? 0) ^ 1;
      // The top bit of an X25519 key is not part of it; every other one is.
      expect(() => open(secret, info, aad, other), `byte ${at}`).toThrow();
    }
    expect(() => open(ephemeral, info, aad, sealed)).toThrow();
    expect(() => open(secret, aad, aad, sealed)).toThrow();
    expect(() => open(secret, info, info, sealed)).toThrow();
    expect(() => open(secret, info, aad, sealed.subarray(0, 40))).toThrow(/too short/);
  });
});

describe('an envelope', () => {
  test('opens to the identity, with the private key only', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (identity) => {
        const envelope = sealIdentity(key, binding, identity);
        expect(openIdentity(ring, binding, envelope)).toBe(identity);
        expect(() => openIdentity([{ ...key, privateKey: null }], binding, envelope)).toThrow();
      }),
      { numRuns: 20 },
    );
  });

  test('is bound to its token, tenant and purpose', () => {
    const envelope = sealIdentity(key, binding, 'alice@example.org');
    const others = [{ tenant: 'globex' }, { purpose: 'subject' }, { token: createSubjectToken() }];
    for (const other of others)
      expect(() =>
        openIdentity(ring, { ...binding, ...other } as typeof binding, envelope),
      ).toThrow();
    const bob = sealIdentity(key, { ...binding, token: createSubjectToken() }, 'bob@example.org');
    const mixed: Envelope = { ...envelope, identity: bob.identity };
    expect(() => openIdentity(ring, binding, mixed)).toThrow();
  });

  test('sealed again to the next version opens with that one, and not with the old one any more', () => {
    const next = createVaultKey('v2');
    const old = sealIdentity(key, binding, 'alice@example.org');
    const renewed = rewrap([next, key], next, binding, old);
    expect(openIdentity([next], binding, renewed)).toBe('alice@example.org');
    expect(() => openIdentity([key], binding, renewed)).toThrow(/v2 is not here/);
    // And the copy in an old dump needs the old one.
    expect(() => openIdentity([next], binding, old)).toThrow(/v1 is not here/);
  });
});

test('a person is found under one digest a tenant, purpose and key, and no two of them are alike', () => {
  const digests = new Set(
    [key, createVaultKey('v2')].flatMap((one) =>
      ['acme', 'globex'].flatMap((tenant) =>
        (['actor', 'subject'] as const).map((purpose) => lookupOf(one, { tenant, purpose }, 'a')),
      ),
    ),
  );
  expect(digests.size).toBe(8);
  expect(lookupOf(key, binding, 'a')).toBe(lookupOf(key, binding, 'a'));
});

/** 512 units, and three times as many in NFC: the vault would refuse it, and keep others waiting for it. */
const GROWS = '\u{1d160}'.repeat(256);

describe('an identity', () => {
  test('has one form for its spellings', () => {
    const form = (text: string) => normalizeIdentity(text);
    expect(form(' Alice@Example.ORG ')).toEqual({ ok: true, value: 'alice@example.org' });
    expect(form('Ame\u0301lie')).toEqual(form('Am\u00e9lie'));
    // Ids that are no addresses keep their case.
    expect(form('U-17')).not.toEqual(form('u-17'));
  });

  test('is not that of a look-alike', () => {
    const alice = normalizeIdentity('alice@example.org');
    for (const other of ['аlice@example.org', 'ａlice@example.org', 'al\u200bice@example.org'])
      expect(normalizeIdentity(other)).not.toEqual(alice);
  });

  test('is refused where it is none, and not quoted', () => {
    const wrong = [
      '',
      '  ',
      'a\u0000b',
      'a\ud800',
      'x'.repeat(1_000_000),
      GROWS,
      7,
      null,
      undefined,
      {},
    ];
    for (const identity of wrong) {
      const found = normalizeIdentity(identity);
      expect(found.ok).toBe(false);
      expect(JSON.stringify(found)).not.toMatch(/xx|a\\u0000b/);
    }
  });
});

test('a token is random, and no redaction touches it', () => {
  const redactor = createRedactor({ masterKey: new Uint8Array(32).fill(7) });
  const seen = new Set<string>();
  for (let n = 0; n < 500; n++) {
    const token = createSubjectToken();
    seen.add(token);
    expect(isSubjectToken(token)).toBe(true);
    const event = makeEvent({
      actor: { type: 'user', id: token, name: token, on_behalf_of: null },
      resource: { type: 'customer', id: token, tenant_id: 'acme' },
      metadata: { approved_by: token, note: `by ${token}` },
    });
    expect(redactor.redactEvent(event)).toBe(event);
  }
  expect(seen.size).toBe(500);
  // One that would look like a number is drawn again.
  const draws = [new Uint8Array(17).fill(0b11111), new Uint8Array(17)];
  expect(createSubjectToken(() => draws.shift() ?? new Uint8Array(17))).toMatch(/^sub_/);
});

describe('vault keys', () => {
  test('are read as they were written, newest first; applications get no private key', () => {
    const all = [createVaultKey('v2'), key];
    expect(parseVaultKeys(formatVaultKeys(all, 'administrator'))).toMatchObject({
      ok: true,
      value: [{ version: 'v2' }, { version: 'v1' }],
    });
    const text = formatVaultKeys([...all].reverse(), 'application');
    expect(text).not.toContain('private');
    expect(text).not.toContain(rawPrivate(key.privateKey as never).toString('hex'));
    const ring = parseVaultKeys(text.replaceAll('\n', ','));
    if (!ring.ok) throw new Error(ring.error);
    expect(ring.value.map(({ version, privateKey }) => [version, privateKey])).toEqual([
      ['v2', null],
      ['v1', null],
    ]);
    expect(formatVaultKeys(ring.value, 'administrator')).toBe(
      text.split('\n').reverse().join('\n').trim() + '\n',
    );
    expect([nextVersion(all), nextVersion([])]).toEqual(['v3', 'v1']);
  });

  test('are refused with a reason that quotes none of them', () => {
    const good = formatVaultKeys([key], 'application');
    for (const text of ['', 'v1 abc', good + good, good.replace('public', 'secret')]) {
      const found = parseVaultKeys(text);
      expect(found.ok).toBe(false);
      expect(JSON.stringify(found)).not.toMatch(/[0-9a-f]{32}/);
    }
  });
});
