/**
 * `POST /v1/audit` against the OpenTelemetry Audit Logging draft: a receipt per record, no partial
 * success, status words, and proofs of producers.
 */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import canonicalizeOracle from 'canonicalize';
import { describe, expect, test } from 'vitest';
import { createTrust } from '../../../agent/receive/otlp-integrity.ts';
import type { AuditAnswer, AuditBatchAnswer } from '../../../schemas/otel-audit.ts';
import { refusal, type RefusalKind } from '../../../schemas/refusal.ts';
import { logRecord, logsRequest, startReceiver, type TestReceiver } from '../../support/otlp.ts';

type Answer = AuditAnswer & AuditBatchAnswer;

async function send(
  receiver: TestReceiver,
  records: readonly object[],
  resource?: Record<string, string>,
): Promise<{ status: number; answer: Answer; retryAfter: string | null }> {
  const response = await receiver.post('/v1/audit', logsRequest(records, resource));
  const answer = (await response.json()) as Answer;
  return { status: response.status, answer, retryAfter: response.headers.get('retry-after') };
}

const record = (id: string, over: Record<string, unknown> = {}): object =>
  logRecord({ attributes: { 'audit.record.id': id, ...over } });

test('a record is accepted with 202 and a receipt of the record as persisted', async () => {
  await using receiver = await startReceiver();
  const { status, answer } = await send(receiver, [record('one')]);
  expect(status).toBe(202);
  const [sealed] = await receiver.ledger();
  expect(answer).toEqual({
    record_id: 'one',
    status: 'accepted_pending_verify',
    verify_status: 'deferred',
    integrity_hash: sealed?.this_hash,
    sink_timestamp: expect.stringMatching(/^[0-9]{19}$/) as string,
    stream: sealed?.event.chain.stream,
    seq: sealed?.event.chain.seq,
  });
});

test('the same record again is the same success; a changed one under its id is 409, and sealed nowhere', async () => {
  await using receiver = await startReceiver();
  const first = await send(receiver, [record('one')]);
  expect(await send(receiver, [record('one')])).toEqual(first);
  const changed = await send(receiver, [record('one', { 'audit.outcome': 'failure' })]);
  expect(changed).toMatchObject({
    status: 409,
    answer: { record_id: 'one', reason: expect.stringContaining('another payload') as string },
  });
  // The observed time is of the carrier, not of the record.
  const later = logRecord({
    observedTimeUnixNano: '1772359299000000000',
    attributes: { 'audit.record.id': 'one' },
  });
  expect(await send(receiver, [later])).toEqual(first);
  expect(await receiver.ledger()).toHaveLength(1);
});

test('one bad record refuses the batch: nothing of it is stored, and each bad one is named', async () => {
  await using receiver = await startReceiver();
  const bad = await send(receiver, [record('a'), record('b', { 'audit.actor.id': null })]);
  expect(bad).toMatchObject({ status: 400, answer: { status: 'rejected_schema_invalid' } });
  expect(Object.keys(bad.answer.record_status_map)).toEqual(['b']);
  const twice = [record('c'), record('c', { 'audit.outcome': 'failure' }), record('d')];
  expect(await send(receiver, twice)).toMatchObject({ status: 409 });
  const foreign = [record('e'), record('f', { 'sealtrail.tenant_id': 'nobody' })];
  expect(await send(receiver, foreign)).toMatchObject({
    status: 403,
    answer: { status: 'rejected_authz' },
  });
  expect(await receiver.ledger()).toEqual([]);
  const good = await send(receiver, [record('a'), record('c'), record('c')]);
  expect(good).toMatchObject({ status: 202, answer: { status: 'accepted_pending_verify' } });
  expect(Object.keys(good.answer.record_status_map)).toEqual(['a', 'c']);
  expect(await receiver.ledger()).toHaveLength(2);
});

test('requests that race with one id seal it once; who comes second with another payload hears 409', async () => {
  await using receiver = await startReceiver();
  const racers = Array.from({ length: 20 }, (_, n) =>
    send(receiver, [record('one', { 'audit.outcome': n % 2 === 0 ? 'success' : 'failure' })]),
  );
  const statuses = (await Promise.all(racers)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 202)).toHaveLength(10);
  expect(statuses.filter((status) => status === 409)).toHaveLength(10);
  expect(await receiver.ledger()).toHaveLength(1);
});

test.each<[kind: RefusalKind, seconds: number]>([
  ['disk_full', 30],
  ['storage_failed', 5],
  ['shutting_down', 5],
])(
  'when the ledger takes nothing (%s) the answer is 503 with retry_after',
  async (kind, seconds) => {
    await using receiver = await startReceiver({
      wrap: (appender) => ({
        ...appender,
        append: ({ events }) =>
          Promise.resolve(events.map(() => ({ kind: 'refused', refusal: refusal(kind, 'no') }))),
      }),
    });
    expect(await send(receiver, [record('one')])).toEqual({
      status: 503,
      retryAfter: String(seconds),
      answer: { status: 'failed_internal', reason: 'no', retry_after: seconds },
    });
  },
);

test('a full queue is 429 with retry_after, once a little has been waited for it', async () => {
  await using receiver = await startReceiver({
    limits: { roomMs: 20 },
    wrap: (appender) => ({
      ...appender,
      hasRoom: () => false,
      whenRoom: () => new Promise(() => undefined),
    }),
  });
  expect(await send(receiver, [record('one')])).toMatchObject({
    status: 429,
    retryAfter: '1',
    answer: { status: 'failed_internal', retry_after: 1 },
  });
});

test("a producer's own sequence that breaks is accepted with a warning", async () => {
  await using receiver = await startReceiver();
  const inSequence = (id: string, number: string, hash = ''): object =>
    record(id, {
      'audit.sequence.stream_id': 's',
      'audit.sequence.number': { intValue: number },
      'audit.sequence.previous_hash': hash,
    });
  const first = await send(receiver, [inSequence('1', '1')]);
  expect(first.answer.chain_warning).toBeUndefined();
  const second = await send(receiver, [inSequence('2', '2', first.answer.integrity_hash)]);
  expect(second.answer.chain_warning).toBeUndefined();
  const broken = await send(receiver, [inSequence('4', '4', second.answer.integrity_hash)]);
  expect(broken).toMatchObject({
    status: 202,
    answer: { chain_warning: expect.stringContaining('skipped') as string },
  });
  expect(receiver.test.meter.counts.gaps).toBe(1);
});

describe("a producer's proof", () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const other = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const resource = {
    'service.name': 'shop',
    'audit.integrity.algorithm': 'Ed25519',
    'audit.integrity.certificate': 'shop-key-1',
  };

  /** Signs as the draft says: JCS of the record, values tagged, integers beyond 2^53 as text. */
  function signed(id: string, key: KeyObject, change: Record<string, unknown> = {}): object {
    const attributes = {
      'audit.record.id': { stringValue: id },
      'audit.actor.id': { stringValue: 'u_8472' },
      'audit.actor.type': { stringValue: 'user' },
      'audit.action': { stringValue: 'LOGIN' },
      'audit.outcome': { stringValue: 'success' },
      'audit.target.id': { stringValue: 'session-1' },
      'audit.target.type': { stringValue: 'session' },
      rows: { intValue: 7 },
    };
    const text = canonicalizeOracle({
      Timestamp: '1772359200123456789',
      ObservedTimestamp: '1772359200200000000',
      EventName: 'user.login',
      Attributes: attributes,
    });
    const value = sign(null, Buffer.from(text ?? ''), key).toString('base64');
    return record(id, { rows: { intValue: '7' }, 'audit.integrity.value': value, ...change });
  }

  test('passes with the trusted key, and fails, and is stored nowhere, when a bit of the record changed', async () => {
    const trust = createTrust([{ reference: 'shop-key-1', pem }]);
    if (!trust.ok) throw new Error(trust.error.message);
    await using receiver = await startReceiver({ trust: trust.value });
    expect(await send(receiver, [signed('1', privateKey)], resource)).toMatchObject({
      status: 202,
      answer: { status: 'verified_queued', verify_status: 'passed' },
    });
    const changed = signed('2', privateKey, { 'audit.actor.id': 'u_8473' });
    for (const bad of [changed, signed('3', other.privateKey)]) {
      expect(await send(receiver, [bad], resource)).toMatchObject({
        status: 400,
        answer: { status: 'rejected_verify_failed', verify_status: 'failed' },
      });
    }
    expect(await receiver.ledger()).toHaveLength(1);
    const unknown = { ...resource, 'audit.integrity.certificate': 'another-key' };
    expect(await send(receiver, [signed('4', other.privateKey)], unknown)).toMatchObject({
      status: 202,
      answer: { status: 'accepted_pending_verify', verify_status: 'deferred' },
    });
  });

  test('an algorithm that does not belong to the trusted key fails, whatever the proof is', async () => {
    const trust = createTrust([{ pem }]);
    if (!trust.ok) throw new Error(trust.error.message);
    await using receiver = await startReceiver({ trust: trust.value });
    for (const algorithm of ['RS256', 'ES256']) {
      const claimed = { 'service.name': 's', 'audit.integrity.algorithm': algorithm };
      expect(await send(receiver, [signed(algorithm, privateKey)], claimed)).toMatchObject({
        status: 400,
        answer: { status: 'rejected_verify_failed' },
      });
    }
  });

  test('a trusted key that is none, is private, or shares its name is refused by its place', () => {
    const good = { reference: 'a', pem };
    const secret = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const wrong: [keys: Parameters<typeof createTrust>[0], index: number, message: RegExp][] = [
      [[good, { pem: 'x' }], 1, /neither/],
      [[{ pem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }], 0, /neither/],
      [[good, { reference: 'b', pem: secret }], 1, /private/],
      [[good, { pem }, { reference: 'a', pem }], 2, /same name/],
      [[{ pem }, { pem }], 1, /same name/],
    ];
    for (const [keys, index, message] of wrong) {
      const trust = createTrust(keys);
      expect(trust).toMatchObject({ ok: false, error: { index } });
      expect(!trust.ok && trust.error.message).toMatch(message);
      expect(!trust.ok && trust.error.message).not.toContain('AAAA');
    }
  });
});
