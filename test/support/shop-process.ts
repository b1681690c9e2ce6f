/**
 * The example shop as a process of its own (dist/), against an agent's data directory, and what it
 * leaves behind: app log, traces, and the events that the agent has in its ledger.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SealedEvent, SealedRecord } from '../../schemas/record.ts';
import { until } from './agent-peer.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A line of the app log or of the traces. */
export type Line = Readonly<Record<string, unknown>>;

export interface ShopProcess extends AsyncDisposable {
  readonly url: string;
  readonly files: { readonly log: string; readonly traces: string };
  /** What it printed to stderr. */
  output(): string;
  appLog(): readonly Line[];
  /** Its spans, attributes among their members. */
  traces(): readonly Line[];
  post(path: string, body: object, headers?: Record<string, string>): Promise<Response>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  /** Logs in and returns the header that says so. */
  login(login: string, password: string): Promise<Record<string, string>>;
}

/**
 * Starts the shop on a free port; its files lie in `dir`, which is the agent's data directory. `auditTimeoutMs`: default far
 * above what a slow machine takes.
 */
export async function startShop(dir: string, auditTimeoutMs = 60_000): Promise<ShopProcess> {
  const files = { log: join(dir, 'shop.log'), traces: join(dir, 'shop-traces.ndjson') };
  const { SEALTRAIL_REDACTION_KEY: _key, OTEL_EXPORTER_OTLP_ENDPOINT: _otlp, ...env } = process.env;
  const child = spawn(process.execPath, ['dist/examples/shop/main.js'], {
    cwd: ROOT,
    env: {
      ...env,
      SEALTRAIL_DATA_DIR: dir,
      SHOP_PORT: '0',
      SHOP_AUDIT_TIMEOUT_MS: String(auditTimeoutMs),
      SHOP_LOG: files.log,
      SHOP_TRACES: files.traces,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until(() => output.includes('listens on') || child.exitCode !== null, 'the shop');
  const url = /listens on (\S+),/.exec(output)?.[1];
  if (url === undefined) throw new Error(`the shop did not start:\n${output}`);

  const post: ShopProcess['post'] = (path, body, headers = {}) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  return {
    url,
    files,
    output: () => output,
    appLog: () => readLines(files.log),
    traces: () => readLines(files.traces).map(spanOf),
    post,
    get: (path, headers = {}) => fetch(url + path, { headers }),
    async login(login, password) {
      const answer = await post('/login', { login, password });
      const { token } = (await answer.json()) as { token: string };
      return { authorization: `Bearer ${token}` };
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      if (child.exitCode === null && child.kill('SIGTERM')) await exited;
    },
  };
}

/** The one span of a line of OTLP/JSON. */
function spanOf(line: Line): Line {
  const { resourceSpans } = line as unknown as {
    resourceSpans: [{ scopeSpans: [{ spans: [OtlpSpan] }] }];
  };
  const [span] = resourceSpans[0].scopeSpans[0].spans;
  const ms = Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;
  const attributes = span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]);
  return {
    trace_id: span.traceId,
    span_id: span.spanId,
    parent_span_id: span.parentSpanId,
    name: span.name,
    duration_ms: ms,
    ...(Object.fromEntries(attributes) as Line),
  };
}

interface OtlpSpan extends Readonly<
  Record<'traceId' | 'spanId' | 'parentSpanId' | 'name', string>
> {
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: object }[];
}

function readLines(file: string): readonly Line[] {
  if (!existsSync(file)) return [];
  return wholeLines(readFileSync(file, 'utf8')).map((line) => JSON.parse(line) as Line);
}

/** Without the last one while it is being written. */
function wholeLines(text: string): readonly string[] {
  return text.split('\n').slice(0, -1);
}

/** Events in the ledger of an agent, without the agent's own. */
export function readLedgerEvents(dir: string): readonly SealedEvent[] {
  return wholeLines(ledgerText(dir))
    .map((line) => (JSON.parse(line) as SealedRecord).event)
    .filter(({ event }) => !/^(ledger|agent)\./.test(event.action));
}

/** All segments, as they lie on disk. */
export function ledgerText(dir: string): string {
  const folder = join(dir, 'ledger');
  const names = readdirSync(folder).filter((name) => /^\d{20}\.ndjson$/.test(name));
  return names
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
}
