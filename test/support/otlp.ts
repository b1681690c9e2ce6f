/** An OTLP receiver over the real admission and append stage, and requests to send to it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Appender } from '../../agent/ports.ts';
import { createAdmission } from '../../agent/receive/admission.ts';
import { createOtlpReceiver, type OtlpReceiverOptions } from '../../agent/receive/otlp.ts';
import type { OtlpReceiverConfig } from '../../schemas/config.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import type { ActionDefinition, Vocabulary } from '../../schemas/vocabulary.ts';
import { openTestStage, silentLog, type TestStage } from './append-stage.ts';
import { makeTempDir } from './ledger.ts';

const define = (action: string, category: string): [string, ActionDefinition] => [
  action,
  {
    action,
    category,
    description: action,
    sensitivity: 'medium',
    fail_policy: 'fail_closed',
    retention_class: 'standard',
    ocsf: { class_uid: 3002, activity_id: 1 },
    ecs: { category: ['authentication'], type: ['start'] },
  },
];
export const TEST_VOCABULARY: Vocabulary = {
  version: 1,
  actions: new Map([
    define('user.login', 'authentication'),
    define('customer.export', 'data_access'),
  ]),
};

export interface TestReceiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly test: TestStage;
  /** Records of foreign clients in the ledger, in order. */
  ledger(): Promise<readonly SealedRecord[]>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

export type TestReceiverOptions = Partial<Omit<OtlpReceiverOptions, 'config'>> & {
  readonly config?: Partial<OtlpReceiverConfig>;
  readonly wrap?: (appender: Appender) => Appender;
  readonly queueEventsMax?: number;
};

/** Starts a receiver on a free port of loopback; it and its ledger go when the scope ends. */
export async function startReceiver(options: TestReceiverOptions = {}): Promise<TestReceiver> {
  const { config, wrap, queueEventsMax, ...rest } = options;
  const dir = await makeTempDir();
  const test = await openTestStage(
    dir.path,
    queueEventsMax === undefined ? {} : { queueEventsMax },
  );
  const receiver = createOtlpReceiver({
    admission: createAdmission({
      tenants: new Set(['acme', 'globex']),
      vocabulary: TEST_VOCABULARY,
      // What is redacted is another test's subject.
      redactor: { keyId: 'none', redactEvent: (event) => event, readPlain: () => null },
    }),
    appender: wrap === undefined ? test.stage : wrap(test.stage),
    meter: test.meter,
    log: silentLog,
    vocabulary: TEST_VOCABULARY,
    payloadKey: Buffer.alloc(32, 7),
    receipts: test.origins,
    ...rest,
    config: {
      endpoint: '127.0.0.1:0',
      tenants: ['*'],
      default_tenant: 'acme',
      body_bytes_max: 1 << 20,
      ...config,
    },
  });
  const listening = await receiver.listen();
  if (!listening.ok) throw new Error(listening.error.message);
  const { address: url, port } = listening.value;
  return {
    url,
    port,
    test,
    ledger: () => readLedger(dir.path),
    post: (path, body, headers = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...headers },
        body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
      }),
    [Symbol.asyncDispose]: async () => {
      await receiver.close(1_000);
      await test.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

async function readLedger(dir: string): Promise<readonly SealedRecord[]> {
  const names = (await readdir(dir)).filter((name) => /^\d{20}\.ndjson$/.test(name)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')));
  return texts
    .join('')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SealedRecord)
    .filter(({ event }) => event.origin !== undefined);
}

/** Attributes of an ordinary audit record, as OTLP/JSON; a null takes one away. */
export function attributes(over: Record<string, unknown> = {}): object[] {
  const all: Record<string, unknown> = {
    'audit.record.id': 'a1b2c3d4-e5f6-7890-abcd-ef1234567890',
    'audit.actor.id': 'u_8472',
    'audit.actor.type': 'user',
    'audit.action': 'LOGIN',
    'audit.outcome': 'success',
    'audit.target.id': 'session-1',
    'audit.target.type': 'session',
    ...over,
  };
  return Object.entries(all)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ({
      key,
      value: typeof value === 'string' ? { stringValue: value } : value,
    }));
}

/** One log record in OTLP/JSON; `attributes` of `over` replace single attributes. */
export function logRecord(
  over: { attributes?: Record<string, unknown> } & Record<string, unknown> = {},
): object {
  const { attributes: changed, ...fields } = over;
  return {
    timeUnixNano: '1772359200123456789',
    observedTimeUnixNano: '1772359200200000000',
    eventName: 'user.login',
    ...fields,
    attributes: attributes(changed),
  };
}

/** A request of one resource with these records. */
export function logsRequest(
  records: readonly object[],
  resource: Record<string, string> = { 'service.name': 'shop', 'service.version': '1.2.3' },
): object {
  const pairs = Object.entries(resource).map(([key, stringValue]) => ({
    key,
    value: { stringValue },
  }));
  return {
    resourceLogs: [{ resource: { attributes: pairs }, scopeLogs: [{ logRecords: records }] }],
  };
}
