/**
 * One table of faults for every sink over HTTP: whatever a peer, a network or an operator does, once it
 * is over every record is there, and no record is a dead letter that its peer would take.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DeliveryLoop } from '../../../../agent/deliver/loop.ts';
import { openSink } from '../../../../agent/deliver/sinks/open.ts';
import { realTiming } from '../../../../agent/deliver/timing.ts';
import type { Sink } from '../../../../agent/ports.ts';
import { createLedgerReader } from '../../../../ledger/reader.ts';
import { nodeFilesystem } from '../../../../ledger/filesystem.ts';
import type { ExporterConfig } from '../../../../schemas/exporter-config.ts';
import { silentLog } from '../../../support/append-stage.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { RETRY, startTestLoop, whenDelivered, writeLedger } from '../../../support/delivery.ts';
import { eventually } from '../../../support/eventually.ts';
import type { Certificate, PeerFault } from '../../../support/http-peer.ts';
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
const COUNT = 25;
const TIMEOUT_MS = 400;

const base = {
  batch_records_max: 10,
  batch_bytes_max: 1 << 20,
  timeout_ms: TIMEOUT_MS,
  retry: RETRY,
  required: true,
  gzip: true,
};

interface Kind {
  readonly name: string;
  start(tls?: Certificate): Promise<SinkPeer>;
  config(endpoints: readonly string[]): ExporterConfig;
  /** Whether the protocol itself tells repeats; otherwise the receiver does, by event id. */
  readonly isOnce: boolean;
  /** Whether single records can be put off. */
  readonly putsOff: boolean;
}

const KINDS: readonly Kind[] = [
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

const authority = createAuthority();

interface Trial extends AsyncDisposable {
  readonly dir: string;
  readonly durable: number;
  readonly ids: readonly string[];
  /** Begins, or begins again, over these endpoints. */
  begin(endpoints: readonly string[]): Promise<DeliveryLoop>;
}

async function startTrial(kind: Kind, over: Partial<ExporterConfig> = {}): Promise<Trial> {
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
async function expectAll(
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
async function whenInTrouble(loop: DeliveryLoop, reason: RegExp): Promise<void> {
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

interface Fault {
  readonly name: string;
  readonly fault: PeerFault;
  readonly reason: RegExp;
}

const FAULTS: readonly Fault[] = [
  ...[429, 503].map((status): Fault => ({
    name: `${status}`,
    fault: { kind: 'status', status },
    reason: new RegExp(`${status}|busy`),
  })),
  { name: '500', fault: { kind: 'status', status: 500 }, reason: /500/ },
  { name: 'redirect', fault: { kind: 'status', status: 302 }, reason: /redirect/ },
  { name: '404', fault: { kind: 'status', status: 404 }, reason: /404/ },
  {
    name: 'an answer that trickles without an end',
    fault: { kind: 'trickle' },
    reason: /timeout/,
  },
  {
    name: 'a connection that is reset within the answer',
    fault: { kind: 'reset' },
    reason: /closed|reset|terminated|acknowledge/i,
  },
  {
    name: 'a connection that is reset before it',
    fault: { kind: 'refuse' },
    reason: /closed|reset/i,
  },
  {
    name: 'credentials revoked (401)',
    fault: { kind: 'revoked', status: 401 },
    reason: /not accepted/,
  },
  {
    name: 'credentials revoked (403)',
    fault: { kind: 'revoked', status: 403 },
    reason: /403|not known|may not/,
  },
];

describe.each(KINDS)('$name', (kind) => {
  test.each(FAULTS)('$name: everything is there once it is over', async ({ fault, reason }) => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    peer.setFault(fault);
    const loop = await trial.begin([peer.url]);
    await whenInTrouble(loop, reason);
    peer.setFault(null);
    await expectAll(kind, trial, peer, loop);
  });

  test.each([301, 307])(
    'a redirect (%i) leads nowhere: records and credentials stay',
    async (status) => {
      await using peer = await kind.start();
      await using elsewhere = await kind.start();
      await using trial = await startTrial(kind);
      peer.setFault({ kind: 'status', status, location: elsewhere.url });
      const loop = await trial.begin([peer.url]);
      await whenInTrouble(loop, /redirect/);
      peer.setFault(null);
      await expectAll(kind, trial, peer, loop);
      expect(elsewhere.requests()).toBe(0);
    },
  );

  test.concurrent.each([
    ['seconds', () => '1'],
    // A date has whole seconds: two of them are more than one from now.
    ['an HTTP date', () => new Date(Date.now() + 2_000).toUTCString()],
  ])('Retry-After in %s is waited for', async (_, retryAfter) => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    peer.setFault({ kind: 'status', status: 503, retryAfter: retryAfter() });
    const startedMs = Date.now();
    const loop = await trial.begin([peer.url]);
    await whenInTrouble(loop, /./);
    peer.setFault(null);
    await expectAll(kind, trial, peer, loop);
    expect(Date.now() - startedMs).toBeGreaterThan(900);
  });

  test('413 splits the batch, and only a record that is too large alone is a dead letter', async () => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    peer.setFault({ kind: 'limit', bytes: 8_000 });
    const loop = await trial.begin([peer.url]);
    await expectAll(kind, trial, peer, loop);
    expect(peer.requests()).toBeGreaterThan(3);

    await using small = await kind.start();
    await using other = await startTrial(kind);
    small.setFault({ kind: 'limit', bytes: 100 });
    const refused = await other.begin([small.url]);
    await whenDelivered(refused, other.durable);
    expect(refused.report().dead_letters).toBe(COUNT);
    expect(small.stored).toEqual([]);
  });

  test('records that are refused are dead letters, all others arrive', async () => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    const refused = [3, 4, 12, 24].flatMap((at) => trial.ids[at] ?? []);
    for (const id of refused) peer.refused.add(id);
    const loop = await trial.begin([peer.url]);
    await expectAll(kind, trial, peer, loop, refused);
    expect(loop.report().dead_letters).toBe(4);
  });

  // A protocol that cannot say it has no such case.
  if (kind.putsOff) {
    test('records that are put off go again, the others are kept', async () => {
      await using peer = await kind.start();
      await using trial = await startTrial(kind);
      for (const at of [2, 5]) peer.putOff.add(trial.ids[at] ?? '');
      const loop = await trial.begin([peer.url]);
      await whenInTrouble(loop, /put off|again/);
      peer.putOff.clear();
      await expectAll(kind, trial, peer, loop);
    });
  }

  test.each([
    ['of another authority', () => createAuthority('another').issue('peer')],
    ['of another host', () => authority.issue('peer', { host: 'other.example' })],
    ['that has expired', () => authority.issue('peer', { daysLeft: -1 })],
  ])('a certificate %s: nothing is sent until it is right', async (_, issue) => {
    await using peer = await kind.start(issue());
    await using trial = await startTrial(kind);
    const loop = await trial.begin([peer.url]);
    await whenInTrouble(loop, /certificate|altname|expired|issuer/i);
    expect(peer.requests()).toBe(0);
    peer.setCertificate(authority.issue('peer'));
    await expectAll(kind, trial, peer, loop);
  });

  test('a name that does not resolve is tried again; with the right one everything arrives', async () => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind, { timeout_ms: 5_000 });
    const lost = await trial.begin(['http://nowhere.invalid:9']);
    await whenInTrouble(lost, /ENOTFOUND|EAI_AGAIN|timeout/);
    const loop = await trial.begin([peer.url]);
    await expectAll(kind, trial, peer, loop);
  });
});
