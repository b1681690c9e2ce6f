/** What a failure of the Kafka client means, without what it may quote of a message or a peer. */
import { codeOf, messageOf } from '../../../schemas/result.ts';
import { TOO_MANY_ROUNDS } from './kafka-sasl.ts';

/** Fewer records could be taken: the batch is too large, or one of them is at fault. */
const OF_THE_BATCH: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
]);

/** What an operator is to look at, by the protocol's own name of the error. */
const EXPLAINED: Readonly<Record<string, string>> = {
  MESSAGE_TOO_LARGE: 'too large for the topic',
  RECORD_LIST_TOO_LARGE: 'too large for the topic',
  INVALID_RECORD: 'the cluster finds a record invalid',
  UNKNOWN_TOPIC_OR_PARTITION: 'there is no such topic, and none is made by itself',
  TOPIC_AUTHORIZATION_FAILED: 'the user may not write to the topic',
  CLUSTER_AUTHORIZATION_FAILED:
    'the user may not write idempotently; allow it, or set idempotent: false',
  NOT_ENOUGH_REPLICAS: 'too few replicas are in sync',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'too few replicas are in sync',
  ILLEGAL_SASL_STATE: 'the brokers ask for SASL',
  UNSUPPORTED_SASL_MECHANISM: 'the brokers do not know the SASL mechanism',
};
const CAUSES_MAX = 8;

/** Whether fewer records in a request could help. */
export function isOfTheBatch(error: unknown): boolean {
  return causesOf(error).some((one) => OF_THE_BATCH.has(typeOf(one)));
}

/** One line for people. */
export function describeFailure(error: unknown): string {
  const causes = causesOf(error);
  const type = causes.map(typeOf).find((one) => one !== '');
  if (type !== undefined) return `${EXPLAINED[type] ?? 'the cluster refuses the batch'} (${type})`;
  if (causes.some((one) => nameOf(one) === 'KafkaJSSASLAuthenticationError')) {
    const says = (text: string): boolean => causes.some((one) => messageOf(one).includes(text));
    if (says('server signature')) return 'the broker does not show that it knows the password';
    return says(TOO_MANY_ROUNDS)
      ? `the broker asks for ${TOO_MANY_ROUNDS}: store the password anew, with 4096`
      : 'username or password is not accepted';
  }
  const last = causes.at(-1);
  const code = codeOf(last);
  // Of a connection, a host or a file; anything else could quote what was being sent.
  if (/^KafkaJS.*(Connection|Timeout|Broker|Metadata)/.test(nameOf(last)) || code !== '')
    return messageOf(last);
  return nameOf(last) || 'unknown failure';
}

/** The error and what caused it, outermost first. */
function causesOf(error: unknown): readonly unknown[] {
  const causes: unknown[] = [];
  for (let at = error; at instanceof Error && causes.length < CAUSES_MAX; at = at.cause) {
    if (causes.includes(at)) break;
    causes.push(at);
  }
  return causes;
}

function typeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('type' in error)) return '';
  return typeof error.type === 'string' && /^[A-Z][A-Z_]*$/.test(error.type) ? error.type : '';
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}
