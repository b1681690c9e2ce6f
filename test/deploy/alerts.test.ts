/** Alert rules and dashboard ask for what there is, and every alert has its runbook. */
import { beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createGatewayMetrics } from '../../agent/gateway/metrics.ts';
import type { GatewayStatus } from '../../agent/gateway/status.ts';
import { createTotals } from '../../agent/gateway/totals.ts';
import { createMetrics } from '../../agent/observe/metrics.ts';
import { NACK_KINDS } from '../../agent/observe/nack-kinds.ts';
import { agentStatus, parseMetrics } from '../agent/observe/support.ts';
import { repositoryText } from '../support/config.ts';

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}
const ALERTS = parse(repositoryText('deploy/prometheus/alerts.yaml')) as {
  groups: { rules: Alert[] }[];
};
const RULES = ALERTS.groups.flatMap(({ rules }) => rules);

interface Dashboard {
  readonly panels: {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { x: number; y: number; w: number; h: number };
    readonly targets: { expr: string }[];
  }[];
  readonly templating: { readonly list: { readonly name: string; readonly query: string }[] };
}
const DASHBOARD = JSON.parse(repositoryText('deploy/grafana/sealtrail.json')) as Dashboard;

/** What the alert rules and the dashboard ask for. */
const QUERIES: readonly (readonly [string, string])[] = [
  ...RULES.map(({ alert, expr }) => [alert, expr] as const),
  ...DASHBOARD.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => [title, expr] as const),
  ),
  ...DASHBOARD.templating.list.map(({ name, query }) => [name, query] as const),
];

/** Names of samples, and the values that each label takes, in the exposition of an agent. */
const names = new Set<string>();
const labels = new Map<string, Set<string>>();

beforeAll(async () => {
  const metrics = createMetrics({ status: () => agentStatus() });
  metrics.meter.commit(1, 1, 0.001);
  metrics.onDelivery({
    sink: 'postgresql',
    records: 1,
    startedMs: 0,
    durationMs: 1,
    outcome: 'delivered',
  });
  const gateway = createGatewayMetrics(gatewayStatus);
  const samples = [await metrics.text(), await gateway.text()].flatMap((text) => [
    ...parseMetrics(text).samples.keys(),
  ]);
  for (const sample of samples) {
    names.add(/^[a-z_]+/.exec(sample)?.[0] ?? '');
    for (const [, label = '', value = ''] of sample.matchAll(/([a-z]+)="([^"]*)"/g))
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
  }
});

function gatewayStatus(): GatewayStatus {
  return {
    ...createTotals(Date.now).counts(),
    gateway: 'gateway',
    version: '1',
    pid: 1,
    started_at: '',
    connected: true,
    shards: [],
    obstacle: null,
  };
}

const NAME = /\b(?:audit|process|nodejs)_[a-z_]+\b/g;

test('every metric that is asked for is one that an agent has', () => {
  const asked = QUERIES.flatMap(([where, query]) =>
    [...query.matchAll(NAME)].map(([name]) => `${where}: ${name}`),
  );
  expect(asked.length).toBeGreaterThan(30);
  expect(asked.filter((one) => !names.has(one.split(': ')[1] ?? ''))).toEqual([]);
});

test('every value of a label that is asked for is one that it takes', () => {
  const asked = QUERIES.flatMap(([, query]) => [...query.matchAll(/\b(kind|state)=~?"([^"]+)"/g)]);
  const values = asked.flatMap(([, label = '', value = '']) =>
    value.split('|').map((one) => [label, one] as const),
  );
  expect(values.length).toBeGreaterThan(10);
  const states = labels.get('state');
  expect(
    values.filter(([label, value]) => !(label === 'kind' ? NACK_KINDS : states)?.has(value)),
  ).toEqual([]);
});

test('every refusal has a rule, but for a stop, a slip of a client, and what it gave up itself', () => {
  const rules = RULES.map(({ expr }) => /audit_receive_nacks_total\{kind=~"([^"]*)"/.exec(expr));
  const watched = new Set(rules.flatMap((found) => found?.[1]?.split('|') ?? []));
  expect([...NACK_KINDS].filter((kind) => !watched.has(kind)).sort()).toEqual([
    'aborted',
    'method_not_allowed',
    'not_found',
    'other',
    'shutting_down',
    'timeout',
    'unsupported_encoding',
    'unsupported_media_type',
  ]);
});

test('what docs/OBSERVE.md calls worth an alert about the ledger and its disk has a rule and a panel', () => {
  const table = repositoryText('docs/OBSERVE.md');
  const worth = [
    ...table.matchAll(/^\| `(audit_(?:append|disk|ledger)_\w+)[^|]*\|[^|]*\|[^|]*\| +[^ |]/gm),
  ].map((match) => match[1] ?? '');
  expect(worth).toEqual(expect.arrayContaining(['audit_disk_used_ratio', 'audit_append_state']));
  const rules = RULES.map(({ expr }) => expr).join('\n');
  const panels = DASHBOARD.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  for (const name of worth) {
    expect(rules).toContain(name);
    expect(panels.join('\n')).toMatch(name === 'audit_ledger_records' ? /audit_ledger_/ : name);
  }
});

test('each alert has a severity, a summary, and a section of its own in docs/OPERATIONS.md, and no section is without its alert', () => {
  const headings = [...repositoryText('docs/OPERATIONS.md').matchAll(/^### (Sealtrail\w+)$/gm)].map(
    (match) => match[1],
  );
  expect(RULES.length).toBeGreaterThan(10);
  expect(RULES.map(({ alert }) => alert)).toEqual(headings);
  for (const { alert, labels: has, annotations } of RULES) {
    expect(['page', 'ticket']).toContain(has.severity);
    expect(annotations.summary.length).toBeGreaterThan(20);
    expect(annotations.runbook_url).toBe(`docs/OPERATIONS.md#${alert.toLowerCase()}`);
  }
});

test('the parentheses of each query close, and panels neither share a number nor lie on one another', () => {
  for (const [where, query] of QUERIES)
    for (const [open, close] of ['()', '{}', '[]'].map(
      (pair) => pair.split('') as [string, string],
    ))
      expect([where, query.split(open).length], where).toEqual([where, query.split(close).length]);
  expect(new Set(DASHBOARD.panels.map(({ id }) => id)).size).toBe(DASHBOARD.panels.length);
  const corners = DASHBOARD.panels.map(({ gridPos: { x, y } }) => `${x},${y}`);
  expect(new Set(corners).size).toBe(corners.length);
});
