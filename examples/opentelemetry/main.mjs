// Audit records with the stock OpenTelemetry SDK and nothing else: the attribute names are those of
// the OpenTelemetry Audit Logging draft, the agent's OTLP receiver does the rest. Any OpenTelemetry
// SDK in any language can do the same. OTEL_EXPORTER_OTLP_ENDPOINT says where the agent is; default
// http://localhost:4318.
import { randomUUID } from 'node:crypto';
import { DiagLogLevel, diag, trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { NodeSDK, logs as logsSdk, tracing } from '@opentelemetry/sdk-node';

// What the agent refuses, and what could not be sent, is reported to the SDK's diagnostics.
function complain(...words) {
  console.error(...words);
  process.exitCode = 1;
}
const ignore = () => {};
diag.setLogger(
  { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore },
  DiagLogLevel.WARN,
);

const sdk = new NodeSDK({
  serviceName: 'billing',
  logRecordProcessors: [
    new logsSdk.BatchLogRecordProcessor({
      exporter: new OTLPLogExporter(),
      scheduledDelayMillis: 200,
    }),
  ],
  // Spans give the records their trace and span ids; nobody exports them here.
  spanProcessors: [new tracing.NoopSpanProcessor()],
  metricReaders: [],
});
sdk.start();

const logger = logs.getLogger('billing');

/** One audit record: who did what to which, with what outcome. The id stays the same when it is sent again. */
function emit(eventName, { actor, outcome, target, attributes = {} }) {
  logger.emit({
    eventName, // an action of the agent's vocabulary
    timestamp: new Date(),
    attributes: {
      'audit.record.id': randomUUID(),
      'audit.actor.id': actor.id,
      'audit.actor.type': actor.type,
      'audit.action': eventName.split('.').at(-1),
      'audit.outcome': outcome,
      'audit.target.id': target.id,
      'audit.target.type': target.type,
      'audit.source.id': '192.0.2.17',
      'audit.source.type': 'ipv4',
      ...attributes,
    },
  });
}

const ada = { id: 'u-17', type: 'user' };
const nightly = { id: 'cron/invoices', type: 'service' };
const account = { id: 'u-17', type: 'user' };
const customer = { id: 'c-4', type: 'customer' };

trace.getTracer('billing').startActiveSpan('POST /login', (span) => {
  emit('user.login', {
    actor: ada,
    outcome: 'failure',
    target: account,
    attributes: { attempt: 1 },
  });
  emit('user.login', {
    actor: ada,
    outcome: 'success',
    target: account,
    attributes: { attempt: 2 },
  });
  span.end();
});
trace.getTracer('billing').startActiveSpan('GET /customers/c-4/export', (span) => {
  // The draft knows success, failure and unknown; one more attribute tells a denial from a failure.
  const denied = { 'sealtrail.outcome': 'denied', reason: 'role' };
  emit('customer.export', { actor: ada, outcome: 'failure', target: customer, attributes: denied });
  span.end();
});
// What must not be kept is taken out by the agent: this becomes tax_id_token.
emit('payment.charge', {
  actor: nightly,
  outcome: 'success',
  target: { id: 'p-1', type: 'payment' },
  attributes: { amount: 4200, currency: 'EUR', tax_id: '078-05-1120' },
});

// shutdown sends what is left and waits for the answers: the agent gives them after its fsync.
await sdk.shutdown();
if (process.exitCode === undefined) console.log('4 audit records sent, and durable');
