/** The receivers as the configuration describes them: all of them, or none and why. */
import { generateKeyPairSync, sign } from 'node:crypto';
import canonicalizeOracle from 'canonicalize';
import { expect, test } from 'vitest';
import { openReceivers } from '../../../agent/receive/receivers.ts';
import type { Config } from '../../../schemas/config.ts';
import { openTestStage, silentLog } from '../../support/append-stage.ts';
import { LEAST, loaded } from '../../support/config.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { attributes, logRecord, logsRequest, TEST_VOCABULARY } from '../../support/otlp.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();

function configOf(otlp: object): Promise<Config> {
  const base = { endpoint: '127.0.0.1:0', tenants: ['*'], default_tenant: 'acme' };
  const receivers = { otlp: { ...base, ...otlp } };
  return loaded({ ...LEAST, receivers }, { files: { 'shop.pem': pem } });
}

async function openAll(dir: string, config: Config) {
  const test = await openTestStage(dir);
  const receivers = await openReceivers({
    config,
    vocabulary: TEST_VOCABULARY,
    redactor: { keyId: 'none', redactEvent: (event) => event, readPlain: () => null },
    payloadKey: Buffer.alloc(32, 7),
    receipts: test.origins,
    appender: test.stage,
    meter: test.meter,
    log: silentLog,
    version: '0.0.0',
  });
  return { test, receivers };
}

test('keys of the configuration verify the proofs of producers', async () => {
  await using temp = await makeTempDir();
  const config = await configOf({ trusted_keys: [{ reference: 'k1', pem: '${file:shop.pem}' }] });
  const { test: stage, receivers } = await openAll(temp.path, config);
  if (!receivers.ok) throw new Error(receivers.error);
  const tagged = Object.fromEntries(
    (attributes() as { key: string; value: object }[]).map(({ key, value }) => [key, value]),
  );
  const text = canonicalizeOracle({
    Timestamp: '1772359200123456789',
    ObservedTimestamp: '1772359200200000000',
    EventName: 'user.login',
    Attributes: tagged,
  });
  const value = sign(null, Buffer.from(text ?? ''), privateKey).toString('base64');
  const post = async (attribute: object) => {
    const body = logsRequest(
      [logRecord({ attributes: { 'audit.integrity.value': value, ...attribute } })],
      {
        'service.name': 'shop',
        'audit.integrity.algorithm': 'EdDSA',
        'audit.integrity.certificate': 'k1',
      },
    );
    const response = await fetch(`${receivers.value.listening.otlp}/v1/audit`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response.json();
  };
  expect(await post({ 'audit.actor.id': 'somebody else' })).toMatchObject({
    verify_status: 'failed',
  });
  expect(await post({})).toMatchObject({ verify_status: 'passed', status: 'verified_queued' });
  await receivers.value.close(100);
  await stage.close();
});

test('a trusted key that is none keeps everything closed, and is named by its place', async () => {
  await using temp = await makeTempDir();
  const config = await configOf({ trusted_keys: [{ pem: '${file:shop.pem}' }] });
  const { otlp } = config.receivers;
  if (otlp === undefined) throw new Error('no receiver');
  const receivers = {
    otlp: { ...otlp, trusted_keys: [{ pem }, { reference: 'x', pem: 'no key' }] },
  };
  const opened = await openAll(temp.path, { ...config, receivers });
  expect(opened.receivers).toMatchObject({
    ok: false,
    error: expect.stringContaining('receivers.otlp.trusted_keys[1].pem is neither') as string,
  });
  await opened.test.close();
});
