/**
 * The agent: its stages and how they are wired. First comes what others stand on, so that the receivers, where
 * an event begins, are opened last; what stands first is started first and stopped last.
 */
import { join } from 'node:path';
import { createRedactor, type Redactor } from '../redaction/redaction.ts';
import type { Config } from '../schemas/config.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { carryAccessLog } from './access-carrying.ts';
import { askAnchors } from './anchor-question.ts';
import type { Agent, AgentOptions } from './agent-interface.ts';
import { openLedger, type OpenedLedger } from './append/open.ts';
import { resourceOf, type Base } from './base.ts';
import { copyCheckpoints } from './checkpoint-copies.ts';
import { beginCheckpoints, completeRotation, createKeyPorts } from './checkpointing.ts';
import { claimDataDir } from './claiming.ts';
import type { Delivery } from './deliver/delivery.ts';
import { deliver } from './delivering.ts';
import { keepConfiguredServer, type EmbeddedServer } from './embedded-server.ts';
import type { KeyPorts } from './key-ports.ts';
import { keepLedgerShort } from './ledger-keeping.ts';
import type { AgentKeys } from './keys.ts';
import { createAdminServer } from './observe/admin.ts';
import { createKeyRoutes } from './key-routes.ts';
import { createMetrics } from './observe/metrics.ts';
import { createTap } from './observe/tap.ts';
import { startTraces } from './observe/traces.ts';
import type { Logger } from './ports.ts';
import { openReceivers, type Receivers } from './receive/receivers.ts';
import { createReload, type Reload } from './reload.ts';
import { recordOperations } from './retaining.ts';
import { createStatus } from './status.ts';
import { createStops, type Stops } from './stops.ts';
import { VERSION } from './version.ts';
import { gatherWitnesses } from './witnesses.ts';

/** How long receivers may take to answer what they have read. */
const RECEIVER_GRACE_MS = 2_000;
/** The embedded server's share of the shutdown time: a database that hangs is killed by then. */
const POSTGRES_STOP_MS = 2_500;
/** Of the shutdown time, what is kept for all that comes after the drain. */
const AFTER_DRAIN_MS: number = 2_000 + POSTGRES_STOP_MS;

/** Starts everything; after an error nothing is left running, and the text says what to do. */
export async function startAgent(options: AgentOptions): Promise<Result<Agent, string>> {
  const stops = createStops(options.log);
  try {
    const started = await start(options, stops);
    if (!started.ok) await stops.run();
    return started;
  } catch (error) {
    await stops.run();
    // What the system refuses is for the operator; anything else is a bug.
    if (error instanceof Error && 'syscall' in error)
      return err(`cannot use data_dir ${options.config.data_dir}: ${error.message}`);
    throw error;
  }
}

async function start(options: AgentOptions, stops: Stops): Promise<Result<Agent, string>> {
  const { config, log } = options;
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<string>((settle) => (fail = settle));
  let loseLock: (reason: string) => void = () => undefined;
  const lockLost = new Promise<string>((settle) => (loseLock = settle));
  void lockLost.then(fail);

  const claimed = await claimDataDir(config, log, stops, loseLock);
  if (!claimed.ok) return claimed;
  const { keys, ring, agent } = claimed.value;
  const base: Base = {
    ...options,
    agent,
    keys,
    ring,
    stops,
    fail,
    lockLost,
    ...(await observe(config, log, stops)),
  };

  const ledger = await append(base);
  if (!ledger.ok) return ledger;
  base.view.checkpoints = beginCheckpoints(base, ledger.value);
  const keyPorts = createKeyPorts(base, ledger.value);
  completeRotation(base, keyPorts);
  const database = startDatabase(base);
  const delivery = await deliver(base, ledger.value, AFTER_DRAIN_MS + RECEIVER_GRACE_MS);
  if (!delivery.ok) return delivery;
  const copyElsewhere = copyCheckpoints(base);
  const receivers = await receive(base, ledger.value);
  if (!receivers.ok) return receivers;
  keepLedgerShort(base, ledger.value, delivery.value);
  const carryElsewhere = carryAccessLog(base, ledger.value);
  const changeStore = (to: Config): void => {
    copyElsewhere(to);
    carryElsewhere(to);
  };
  const reload = reloadOf(base, ledger.value, delivery.value, receivers.value, changeStore);
  const admin = await administer(base, ledger.value, delivery.value, reload, keyPorts);
  if (!admin.ok) return admin;

  return ok({
    listening: { ...receivers.value.listening, admin: admin.value },
    generatedKeys: keys.generated,
    database: database?.first ?? null,
    failed,
    reload: reload.run,
    stop: () => stops.run(),
  });
}

/** Observation stands beside the flow: it is asked, and never in the way. */
async function observe(
  config: Config,
  log: Logger,
  stops: Stops,
): Promise<Pick<Base, 'metrics' | 'traces' | 'view'>> {
  const view = createStatus(config, () => metrics.totals());
  const metrics = createMetrics({ status: view.status });
  const { traces_endpoint: endpoint } = config.service.telemetry;
  const traces = await startTraces({ endpoint, version: VERSION, log });
  stops.add('traces', () => traces.stop());
  return { metrics, traces, view };
}

/** What is acked is redacted, chained and on disk. */
async function append(base: Base): Promise<Result<OpenedLedger, string>> {
  const { config, agent, log, view } = base;
  const ledger = await openLedger({
    dir: join(config.data_dir, 'ledger'),
    config: config.ledger,
    witnesses: await gatherWitnesses(config, log),
    askAnchors: (last) => askAnchors(base, last),
    agent,
    meter: base.traces.meter(base.metrics.meter),
    log,
    nowMs: Date.now,
    onDurable: (records) => {
      view.durable = records;
      view.checkpoints?.notifyDurable(records);
      view.delivery?.notifyDurable(records);
    },
    onDiskFull: (isFull) => view.checkpoints?.pause(isFull),
    onIncarnation: (incarnation) => view.checkpoints?.beginIncarnation(incarnation),
    onFailed: (reason) => base.fail(`the ledger cannot be written: ${reason}`),
  });
  if (!ledger.ok) return ledger;
  view.append = ledger.value.append;
  view.durable = ledger.value.append.status().records;
  view.disk = ledger.value.disk;
  view.rollback = ledger.value.rollback;
  void base.lockLost.then(ledger.value.append.halt);
  base.stops.add('ledger', () => ledger.value.close());
  await ledger.value.append.recordOwn('agent.started', 'success', resourceOf(base), {
    version: VERSION,
  });
  return ledger;
}

/** The embedded store of record, where the configuration has one. It stops after delivery. */
function startDatabase({ config, log, stops }: Base): EmbeddedServer | null {
  const server = keepConfiguredServer(config, log);
  if (server !== null) stops.add('postgresql', () => server.stop(POSTGRES_STOP_MS));
  return server;
}

/** Nothing is taken before all of the above stands. */
async function receive(base: Base, ledger: OpenedLedger): Promise<Result<Receivers, string>> {
  const { config, keys, stops } = base;
  const receivers = await openReceivers({
    config,
    vocabulary: base.vocabulary,
    redactor: redactorOf(keys, config),
    payloadKey: keys.redaction,
    receipts: ledger.origins,
    appender: ledger.append,
    meter: base.metrics.meter,
    log: base.log,
    version: VERSION,
  });
  if (!receivers.ok) return receivers;
  stops.add('receivers', async () => {
    await receivers.value.close(RECEIVER_GRACE_MS);
    await ledger.append.recordOwn('agent.stopped', 'success', resourceOf(base), {
      version: VERSION,
    });
  });
  return receivers;
}

function redactorOf({ redaction: masterKey }: AgentKeys, { processors }: Config): Redactor {
  const { sensitive_keys: sensitiveKeys, keep_emails: keepsEmails } = processors.redaction;
  return createRedactor({ masterKey, sensitiveKeys, keepsEmails });
}

/** Delivery first: it alone can refuse, and then nothing has changed. */
function reloadOf(
  base: Base,
  ledger: OpenedLedger,
  delivery: Delivery,
  receivers: Receivers,
  changeStore: (config: Config) => void,
): Reload {
  return createReload({
    ...base,
    apply: async ({ config, vocabulary }, applied) => {
      if (applied.some((name) => name === 'vocabulary' || name.startsWith('exporters.')))
        await delivery.change({ exporters: config.exporters, vocabulary });
      changeStore(config);
      receivers.change({ config, vocabulary, redactor: redactorOf(base.keys, config) });
      base.view.vocabularyFile = config.agent.vocabulary_file;
      base.onLogLevel?.(config.service.telemetry.log_level);
    },
    record: (metadata) =>
      ledger.append.recordOwn('agent.reloaded', 'success', resourceOf(base), metadata),
  });
}

async function administer(
  base: Base,
  ledger: OpenedLedger,
  delivery: Delivery,
  reload: Reload,
  keyPorts: KeyPorts,
): Promise<Result<string, string>> {
  const { config, metrics, view, stops } = base;
  const { admin_endpoint: endpoint } = config.service.telemetry;
  const admin = createAdminServer({
    endpoint,
    socketPath: join(config.data_dir, 'admin.sock'),
    status: view.status,
    metrics,
    deadLetters: {
      list: (sink, limit) => delivery.listDeadLetters(sink, limit),
      retry: (sink) => delivery.retryDeadLetters(sink),
    },
    reload,
    operations: recordOperations(base, ledger),
    keys: createKeyRoutes(base.ring, keyPorts),
    tap: createTap({
      ledgerDir: join(config.data_dir, 'ledger'),
      durable: () => view.durable,
      cursor: (sink) => delivery.status().find(({ name }) => name === sink)?.cursor ?? null,
    }),
    log: base.log,
  });
  const listening = await admin.listen();
  if (!listening.ok) return err(listening.error.message);
  stops.add('admin', () => admin.close());
  return ok(`http://${endpoint.slice(0, endpoint.lastIndexOf(':'))}:${listening.value.port}`);
}
