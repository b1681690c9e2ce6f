/** Sinks over HTTP, each before a peer that speaks its protocol: what every one of them has to bring through a fault. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { DeliveryLoop } from '../../../../agent/deliver/loop.ts';
import { openSink } from '../../../../agent/deliver/sinks/open.ts';
import { realTiming } from '../../../../agent/deliver/timing.ts';
import type { Sink } from '../../../../agent/ports.ts';
import { createLedgerReader } from '../../../../ledger/reader.ts';
import { nodeFilesystem } from '../../../../ledger/filesystem.ts';
import type { ExporterConfig } from '../../../../schemas/exporter-config.ts';
import { silentLog } from '../../../support/append-stage.ts';
import { createAuthority, type Authority } from '../../../support/certificates.ts';
import { RETRY, startTestLoop, whenDelivered, writeLedger } from '../../../support/delivery.ts';
import { eventually } from '../../../support/eventually.ts';
import type { Certificate } from '../../../support/http-peer.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import {
  HEC_TOKEN,
  startElasticsearchPeer,
  startOtlpPeer,
  startSplunkPeer,
  startWebhookPeer,
  WEBHOOK_SECRET,
  type SinkPeer,
} from '../../../support/sink-peers.ts';

const vocabulary = { version: 1, actions: new Map() } as const;
const agent = { name: 'test', version: '1.0.0' };
export const COUNT = 25;
const TIMEOUT_MS = 400;

const base = {
  batch_records_max: 10,
  batch_bytes_max: 1 << 20,
  timeout_ms: TIMEOUT_MS,
  retry: RETRY,
  required: true,
  gzip: true,
};

export interface Kind {
  readonly name: string;
  start(tls?: Certificate): Promise<SinkPeer>;
  config(endpoints: readonly string[]): ExporterConfig;
  /** Whether the protocol itself tells repeats; otherwise the receiver does, by event id. */
  readonly isOnce: boolean;
  /** Whether single records can be put off. */
  readonly putsOff: boolean;
}

export const KINDS: readonly Kind[] = [
  {
    name: 'elasticsearch',
    start: startElasticsearchPeer,
    isOnce: true,
    putsOff: true,
    config: (endpoints) => ({
      ...base,
      name: 'elasticsearch',
      type: 'elasticsearch',
      endpoints,
      data_stream: 'logs-sealtrail.audit-default',
      format: 'ecs',
      api_key: 'c2VjcmV0LWtleQ==',
    }),
  },
  {
    name: 'splunk',
    start: startSplunkPeer,
    isOnce: false,
    putsOff: false,
    config: (endpoints) => ({
      ...base,
      name: 'splunk',
      type: 'splunk',
      endpoints,
      token: HEC_TOKEN,
      format: 'ecs',
      source: 'sealtrail',
      sourcetype: '_json',
      acknowledge: true,
      ack_timeout_ms: 600,
    }),
  },
  ...(['protobuf', 'json'] as const).map((encoding): Kind => ({
    name: `otlp, ${encoding}`,
    start: startOtlpPeer,
    isOnce: false,
    putsOff: false,
    config: (endpoints) => ({
      ...base,
      name: 'otlp',
      type: 'otlp',
      endpoints,
      encoding,
      format: 'ecs',
      headers: { authorization: 'Bearer c2VjcmV0LWtleQ==' },
    }),
  })),
  ...(['ndjson', 'json'] as const).map((encoding): Kind => ({
    name: `webhook, ${encoding}`,
    start: startWebhookPeer,
    isOnce: false,
    putsOff: true,
    config: (endpoints) => ({
      ...base,
      gzip: encoding === 'json',
      name: 'webhook',
      type: 'webhook',
      endpoints,
      secret: WEBHOOK_SECRET,
      encoding,
      format: 'native',
      headers: {},
    }),
  })),
];

export const authority: Authority = createAuthority();

export interface Trial extends AsyncDisposable {
  readonly dir: string;
  readonly durable: number;
  readonly ids: readonly string[];
  /** Begins, or begins again, over these endpoints. */
  begin(endpoints: readonly string[]): Promise<DeliveryLoop>;
}

export async function startTrial(kind: Kind, over: Partial<ExporterConfig> = {}): Promise<Trial> {
  const temp = await makeTempDir();
  const durable = await writeLedger(temp.path, COUNT - 1);
  const ids = await idsOf(temp.path, durable);
  await writeFile(join(temp.path, 'ca.pem'), authority.cert);
  let loop: DeliveryLoop | null = null;
  return {
    dir: temp.path,
    durable,
    ids,
    begin: async (endpoints) => {
      await loop?.stop();
      // The type of the whole is the kind's own; only members that all share are changed.
      const config = { ...kind.config(endpoints), ...over } as ExporterConfig;
      loop = await startTestLoop(temp.path, durable, await openTestSink(config, temp.path), {
        timing: realTiming,
        exporter: { retry: { initial_ms: 5, max_ms: 20, attempts_max: 0 } },
      });
      return loop;
    },
    [Symbol.asyncDispose]: async () => {
      await loop?.stop();
      await temp[Symbol.asyncDispose]();
    },
  };
}

function openTestSink(config: ExporterConfig, dataDir: string): Promise<Sink> {
  const endpoint = 'endpoints' in config ? config.endpoints[0] : '';
  const tls = endpoint?.startsWith('https:')
    ? { tls: { ca_file: join(dataDir, 'ca.pem'), insecure_skip_verify: false } }
    : {};
  return openSink(
    { ...config, ...tls },
    {
      dataDir,
      vocabulary,
      agent,
      log: silentLog,
      onFork: () => undefined,
    },
  );
}

async function idsOf(dataDir: string, durable: number): Promise<readonly string[]> {
  const reader = createLedgerReader({
    dir: join(dataDir, 'ledger'),
    filesystem: nodeFilesystem,
    from: 0,
  });
  const read = await reader.read({ recordsMax: durable, bytesMax: 1 << 24, upTo: durable });
  await reader.close();
  if (!read.ok) throw new Error(read.error.message);
  return read.value.map(
    ({ eventText }) => (JSON.parse(eventText) as { event_id: string }).event_id,
  );
}

/** Every record is there, once where the protocol sees to it, and nothing is a dead letter but these. */
export async function expectAll(
  kind: Kind,
  trial: Trial,
  peer: SinkPeer,
  loop: DeliveryLoop,
  dead: readonly string[] = [],
): Promise<void> {
  await whenDelivered(loop, trial.durable);
  const expected = trial.ids.filter((id) => !dead.includes(id));
  expect(new Set(peer.stored)).toEqual(new Set(expected));
  if (kind.isOnce) expect(peer.stored).toHaveLength(expected.length);
  const letters = await loop.listDeadLetters(100);
  expect(letters.map(({ event_id }) => event_id)).toEqual(dead);
  for (const { reason } of letters) expect(reason).not.toMatch(/c_17|alice|secret-key|@/i);
  expect(peer.violations).toEqual([]);
}

/** The sink is seen to be in trouble, with this as the reason. */
export async function whenInTrouble(loop: DeliveryLoop, reason: RegExp): Promise<void> {
  await eventually(() => {
    const { state, last_error } = loop.report();
    expect({ state, last_error }).toEqual({
      state: 'retrying',
      last_error: expect.stringMatching(reason),
    });
  }, 2);
  expect(loop.report().last_error).not.toMatch(/c2VjcmV0|11111111-2222|whsec_|a key of 32/);
  expect(loop.report().dead_letters).toBe(0);
}
