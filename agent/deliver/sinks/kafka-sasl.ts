/**
 * How the Kafka sink shows who it is. With SCRAM the broker says how many rounds of hashing a password takes, and the
 * client does as many as it is told, on the threads that the ledger is written by: a few answers with two thousand
 * million of them, and nothing is acked for an hour.
 */
import type { Mechanism, SASLOptions } from 'kafkajs';
import type { KafkaExporterConfig } from '../../../schemas/exporter-config.ts';
import { memberOf } from '../../../schemas/untrusted-json.ts';

/** Kafka itself stores no password with more than 16,384. */
const ROUNDS_MAX = 1_000_000;
/** What the error says, by which it is told from others. */
export const TOO_MANY_ROUNDS = 'too many rounds of hashing';

type Provider = Mechanism['authenticationProvider'];
type Account = Omit<NonNullable<KafkaExporterConfig['sasl']>, 'mechanism'>;

/** Not in the client's types: what it uses itself. */
const PROVIDERS = {
  'scram-sha-256': 'kafkajs/src/broker/saslAuthenticator/scram256.js',
  'scram-sha-512': 'kafkajs/src/broker/saslAuthenticator/scram512.js',
} as const;

/** What the client is given for an account. */
export async function saslOf({
  mechanism,
  ...account
}: NonNullable<KafkaExporterConfig['sasl']>): Promise<SASLOptions | Mechanism> {
  if (mechanism === 'plain') return { mechanism, ...account };
  const path: string = PROVIDERS[mechanism];
  const { default: providerOf } = (await import(path)) as {
    readonly default: (account: Account) => Provider;
  };
  return { mechanism, authenticationProvider: withBound(providerOf(account)) };
}

function withBound(provider: Provider): Provider {
  return (of) =>
    provider({
      ...of,
      saslAuthenticate: async (asked) => {
        const said = await of.saslAuthenticate(asked);
        const rounds = memberOf(said, 'i');
        // Read as the client reads it.
        if (typeof rounds === 'string' && Number.parseInt(rounds, 10) > ROUNDS_MAX)
          throw new Error(TOO_MANY_ROUNDS);
        return said;
      },
    });
}
