/** The auditor's page over a store, with a clock that a test moves. */
import { createAuditor } from '../../auditor/ask.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import type { Health, WebPorts } from '../../auditor/web/ports.ts';
import { createWebServer } from '../../auditor/web/server.ts';
import { parseTrust } from '../../ledger/trust.ts';
import { err, ok } from '../../schemas/result.ts';
import { TEST_SIGNER } from './checkpoints.ts';
import { NOW_MS, type WebStore } from './web-store.ts';

const parsed = parseTrust(TEST_SIGNER.vkey);
const TRUST = parsed.ok ? parsed.value : null;

export interface WebRun {
  readonly url: string;
  readonly ports: WebPorts;
  readonly logged: string[];
  /** Moves the clock of the page. */
  advance(ms: number): void;
  stop(): Promise<void>;
}

/** Starts the page over a store; `over` replaces ports. */
export async function startWeb(
  store: WebStore,
  over: Partial<Omit<WebPorts, 'settings'>> & {
    readonly settings?: Partial<WebPorts['settings']>;
  } = {},
): Promise<WebRun> {
  let nowMs = NOW_MS;
  const logged: string[] = [];
  const log = (fields: object, message: string): void =>
    void logged.push(`${message} ${JSON.stringify(fields)}`);
  const ports: WebPorts = {
    log: { info: log, warn: log, error: log },
    nowMs: () => nowMs,
    openAuditor: (login) => createAuditor({ url: store.urlOf(login) }),
    certify: async (login, asked, work) => {
      const url = store.urlOf(login);
      const auditor = createAuditor({ url });
      const made = await certifyAnswer(auditor, asked, {
        url,
        known: null,
        trust: TRUST,
        verifier: 'test',
        ...work,
      });
      auditor.close();
      return made.ok ? made : err(made.error.message);
    },
    bundleOf: null,
    bundleKey: null,
    proofOf: store.proofOf,
    trust: TRUST,
    health: async () => ok(HEALTH),
    ...over,
    settings: {
      publicUrl: null,
      tls: null,
      trustedProxies: [],
      signIn: { people: null, oidc: null, operators: new Set(['alice']) },
      session: { idleMs: 15 * 60_000, lifeMs: 8 * 3_600_000 },
      ...over.settings,
    },
  };
  const server = await createWebServer(ports);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return { url, ports, logged, advance: (ms) => void (nowMs += ms), stop: () => server.stop() };
}

export const HEALTH: Health = {
  agent: 'test',
  version: '0.1.0',
  started_at: '2026-11-20T08:00:00.000Z',
  append: {
    ...{ state: 'ready', records: 412_355, ledger_bytes: 310_000_000, queue_events: 3 },
    ...{ queue_events_max: 8192, last_fsync_ms: 1.42, last_fsync_at: '2026-11-26T11:59:59.000Z' },
    last_error: null,
  },
  disk: { used_ratio: 0.41, bytes_left: 41_000_000_000, seconds_left: null },
  rollback: null,
  checkpoints: {
    ...{ state: 'running', lag_records: 12, signed_at: '2026-11-26T11:59:58.000Z' },
    anchored_at: '2026-11-26T11:59:30.000Z',
    anchors: {
      quorum: 1,
      quorum_at: '2026-11-26T11:59:31.000Z',
      members: [
        {
          name: 'witness',
          state: 'taking',
          anchored_at: '2026-11-26T11:59:31.000Z',
          last_error: null,
        },
      ],
    },
    last_error: null,
  },
  sinks: [
    {
      ...{ name: 'postgresql', type: 'postgresql', required: true, state: 'delivering' },
      ...{ lag_records: 12, lag_seconds: 0.4, delivered_total: 412_343, skipped_total: 0 },
      ...{ dead_letters: 0, last_error: null },
    },
    {
      ...{ name: 'elasticsearch/siem', type: 'elasticsearch', required: false, state: 'retrying' },
      ...{ lag_records: 9_120, lag_seconds: 734, delivered_total: 403_235, skipped_total: 0 },
      ...{ dead_letters: 2, last_error: 'connect ECONNREFUSED 10.0.0.9:9200' },
    },
  ],
};
