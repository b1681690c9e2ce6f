/** SCRAM of the Kafka sink, with a server's side written from the RFCs in front of the mock cluster. */
import { describe, expect, test as always } from 'vitest';
import { KAFKA_DEFAULTS } from '../../../../agent/config-defaults.ts';
import type { Sink } from '../../../../agent/ports.ts';
import type { KafkaExporterConfig } from '../../../../schemas/exporter-config.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { testWhere } from '../../../support/host.ts';
import { hasKafka, startKafka, TOPIC } from '../../../support/kafka.ts';
import type { SaslOptions } from '../../../support/kafka-sasl.ts';
import { beginScram, createAccount } from '../../../support/scram.ts';
import { openTestSink, sealedRecords, send, SINK_BASE } from '../../../support/sinks.ts';

const test = testWhere(hasKafka, 'librdkafka and its Python binding are not installed');
const records = sealedRecords(4);
/** Both characters that a name must escape. */
const USERNAME = 'au,dit=1';
const MECHANISMS = { 'scram-sha-256': 'SCRAM-SHA-256', 'scram-sha-512': 'SCRAM-SHA-512' } as const;
type Mechanism = keyof typeof MECHANISMS;

function accountOf(mechanism: Mechanism, password: string, iterations = 4_096): SaslOptions {
  const hash = mechanism === 'scram-sha-256' ? 'sha256' : 'sha512';
  const account = createAccount(hash, USERNAME, password, { iterations });
  return { mechanism: MECHANISMS[mechanism], account };
}

function open(
  broker: string,
  sasl: NonNullable<KafkaExporterConfig['sasl']>,
): Promise<Sink & AsyncDisposable> {
  return openTestSink({
    ...KAFKA_DEFAULTS,
    ...SINK_BASE,
    name: 'kafka',
    type: 'kafka',
    brokers: [broker],
    topic: TOPIC,
    transport: 'tcp',
    timeout_ms: 30_000,
    sasl,
  });
}

describe('the peer', () => {
  // RFC 7677, section 3.
  const account = createAccount('sha256', 'user', 'pencil', {
    salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
    iterations: 4_096,
  });
  const begin = () => beginScram(account, '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0');
  const first = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO';
  const unproven = 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0';
  const final = `${unproven},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`;

  always('answers as the example of RFC 7677 has it', () => {
    const exchange = begin();
    expect(exchange.first(first)).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    expect(exchange.final(final)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=');
    expect(exchange.final(final), 'a second time').toBe(null);
  });

  always('takes nothing else', () => {
    for (const other of ['y,,n=user,r=x', 'n,,n=other,r=x', 'n,,n=us=er,r=x', 'n,,n=user', ''])
      expect(begin().first(other), other).toBe(null);
    for (const other of [
      final.replace('c=biws', 'c=eSws'),
      final.replace('p=d', 'p=e'),
      final.replace('EkqO%', 'EkqO'),
      unproven,
    ]) {
      const exchange = begin();
      exchange.first(first);
      expect(exchange.final(other), other).toBe(null);
    }
    expect(begin().final(final), 'without the first message').toBe(null);
  });
});

test.each(['scram-sha-256', 'scram-sha-512'] as const)(
  '%s: with the password records are delivered; one that was changed lets nobody in until it is put back',
  async (mechanism) => {
    await using kafka = await startKafka({ sasl: accountOf(mechanism, 'right') });
    await using sink = await open(kafka.broker, {
      mechanism,
      username: USERNAME,
      password: 'right',
    });
    expect(await send(sink, records)).toEqual(DELIVERED);
    expect(kafka.read()).toHaveLength(records.length);

    kafka.front.sasl = accountOf(mechanism, 'changed');
    kafka.front.faults.push('reset before');
    expect(await send(sink, records)).toEqual({
      kind: 'failed',
      reason: 'username or password is not accepted',
    });
    kafka.front.sasl = accountOf(mechanism, 'right');
    expect(await send(sink, records)).toEqual(DELIVERED);
  },
);

test('a broker that knows another mechanism, asks for too few rounds or for endless ones, or does not know the password is not written to', async () => {
  const sasl = { mechanism: 'scram-sha-256', username: USERNAME, password: 'right' } as const;
  await using kafka = await startKafka({ sasl: accountOf('scram-sha-512', 'right') });
  await using sink = await open(kafka.broker, sasl);
  const { account } = accountOf('scram-sha-256', 'right') as { account: object };
  const impostor = { ...account, serverKey: Buffer.alloc(32) };
  const endless = { ...account, iterations: 2 ** 31 - 1 };
  for (const [offered, reason] of [
    [kafka.front.sasl, 'the brokers do not know the SASL mechanism (UNSUPPORTED_SASL_MECHANISM)'],
    [accountOf('scram-sha-256', 'right', 1_000), 'username or password is not accepted'],
    [
      { mechanism: 'SCRAM-SHA-256', account: impostor } as SaslOptions,
      'the broker does not show that it knows the password',
    ],
    [
      { mechanism: 'SCRAM-SHA-256', account: endless } as SaslOptions,
      'the broker asks for too many rounds of hashing: store the password anew, with 4096',
    ],
  ] as const) {
    kafka.front.sasl = offered;
    expect(await send(sink, records)).toEqual({ kind: 'failed', reason });
  }
  expect(kafka.front.produced()).toBe(0);
  kafka.front.sasl = accountOf('scram-sha-256', 'right');
  expect(await send(sink, records)).toEqual(DELIVERED);
});
