/** Metrics of a gateway in Prometheus form: read off its status whenever somebody scrapes. */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { GatewayStatus } from './status.ts';

export interface GatewayMetrics {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Creates the metrics on a registry of their own. */
export function createGatewayMetrics(status: () => GatewayStatus): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = (name: string, help: string, read: (now: GatewayStatus) => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(status()));
      },
    });
  };
  const gauge = (name: string, help: string, read: (now: GatewayStatus) => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(status()));
      },
    });
  };
  counter('audit_gateway_stored_total', 'Records stored.', (now) => now.stored_total);
  counter(
    'audit_gateway_repeated_total',
    'Records that the store had already.',
    (now) => now.repeated_total,
  );
  counter(
    'audit_gateway_early_total',
    'Records handed back because their predecessor was missing.',
    (now) => now.early_total,
  );
  gauge(
    'audit_gateway_shards',
    'Shards that this gateway consumes.',
    ({ shards }) => shards.length,
  );
  gauge('audit_gateway_consuming', '1 while it consumes.', (now) => Number(now.obstacle === null));
  gauge(
    'audit_gateway_waiting_streams',
    'Streams that wait for a missing record.',
    ({ waiting }) => waiting.length,
  );
  gauge('audit_gateway_waiting_seconds', 'Longest of these waits.', ({ waiting }) =>
    Math.max(0, ...waiting.map(({ seconds }) => seconds)),
  );
  new Counter({
    name: 'audit_gateway_refused_total',
    help: 'Messages that were no genuine records, by kind: each is a finding.',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of Object.entries(status().refused_total)) this.inc({ kind }, count);
    },
  });
  return { contentType: registry.contentType, text: () => registry.metrics() };
}
