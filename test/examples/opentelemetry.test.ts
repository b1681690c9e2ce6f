/** The stock OpenTelemetry program: it holds none of our code, and its records are in the ledger. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { ledgerText, readLedgerEvents } from '../support/shop-process.ts';

const run = promisify(execFile);
const PROGRAM = join(import.meta.dirname, '../../examples/opentelemetry/main.mjs');

let agent: AgentProcess;

beforeAll(async () => {
  agent = await startAgentProcess({ exporters: {} });
});
afterAll(() => agent[Symbol.asyncDispose]());

/** By default it waits longer than a slow machine takes. */
function runProgram(
  endpoint: string,
  timeoutMs = 60_000,
): Promise<{ stdout: string; stderr: string; code?: number }> {
  const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
  const patience = { OTEL_EXPORTER_OTLP_TIMEOUT: String(timeoutMs) };
  return run(process.execPath, [PROGRAM], { env: { ...env, ...patience } });
}

it('imports OpenTelemetry packages and nothing of ours', () => {
  const text = readFileSync(PROGRAM, 'utf8');
  const imports = [...text.matchAll(/(?:from|import\() ?'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );
  expect(imports.length).toBeGreaterThan(3);
  for (const name of imports) expect(name).toMatch(/^(@opentelemetry\/|node:)/);
});

it('sends records that land in the ledger: outcome, denial, trace, and no raw number', async () => {
  const { stdout, stderr } = await runProgram(agent.otlpUrl);
  expect(stderr).toBe('');
  expect(stdout).toContain('4 audit records');
  const events = readLedgerEvents(agent.dir);
  expect(events.map(({ event }) => [event.action, event.outcome])).toEqual([
    ['user.login', 'failure'],
    ['user.login', 'success'],
    ['customer.export', 'denied'],
    ['payment.charge', 'success'],
  ]);
  for (const { source, origin } of events) {
    expect(source).toMatchObject({ service: 'billing', ip: '192.0.2.17' });
    expect(origin).toMatchObject({
      signal: 'logs',
      record_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  }
  const [first, second, denied] = events.map(({ correlation }) => correlation.trace_id);
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(second).toBe(first);
  expect(denied).not.toBe(first);
  expect(events[3]?.metadata['tax_id_token']).toMatch(/^tok_/);
  expect(ledgerText(agent.dir)).not.toContain('078-05-1120');
});

it('ends with an error when nobody takes its records', async () => {
  const failed = await runProgram('http://127.0.0.1:9', 2_000).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 1 });
});
