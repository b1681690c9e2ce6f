/**
 * The gateway trial: two agents, a nats-server, three gateways and PostgreSQL under load, while gateways,
 * agents and the nats-server are killed with SIGKILL at moments that a seed chooses. Then every record of
 * the agents' ledgers, and so every acked event, is looked for in the store.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { expect, vi } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { runCli, startAgentProcess, VOCABULARY, type AgentProcess } from './agent-process.ts';
import { createRandom } from './crash-trial.ts';
import { eventually } from './eventually.ts';
import { startGatewayProcess, type GatewayProcess } from './gateway-process.ts';
import { startNats, type TestNats } from './nats.ts';
import { readRecords, readStore, type Acked } from './outcome.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { startSdkProducer, type Load, type Producer } from './producer.ts';

export interface GatewayTrialOptions {
  readonly kills: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface GatewayTrialReport {
  readonly kills: Readonly<Record<'gateway' | 'agent' | 'nats', number>>;
  readonly acked: number;
  readonly records: number;
  /** Over the gateways that live at the end, since their last start. */
  readonly repeated: number;
  readonly early: number;
  readonly seconds: number;
}

const LOAD: Load = { burstMax: 40, pauseMs: 60 };
const UNDER_LOAD_MS_MAX = 700;
const ACK_WAIT_MS = 2_000;
const SETTLE_MS = 120_000;

/** Everything that runs, ended in reverse. */
export interface Pipeline extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly nats: TestNats;
  readonly agents: readonly AgentProcess[];
  readonly gateways: readonly GatewayProcess[];
}

/** Starts the pipeline and waits until gateways consume every shard. */
export async function startPipeline(agentCount: number, gatewayCount: number): Promise<Pipeline> {
  const started: AsyncDisposable[] = [];
  const keep = <T extends AsyncDisposable>(one: T): T => {
    started.push(one);
    return one;
  };
  const dispose = async (): Promise<void> => {
    for (const one of started.splice(0).reverse()) await one[Symbol.asyncDispose]();
  };
  try {
    const postgres = await startPostgres();
    keep({ [Symbol.asyncDispose]: () => postgres.stop() });
    const store = createPostgresStore({
      url: postgres.url('writer'),
      ownerUrl: postgres.url('owner'),
    });
    const migrated = await store.migrate();
    await store.close();
    if (!migrated.ok) throw new Error(migrated.error.message);
    const nats = keep(await startNats());
    const gateways: GatewayProcess[] = [];
    for (let index = 0; index < gatewayCount; index++) {
      const gateway = await startGatewayProcess({
        name: `gateway-${index}`,
        nats: { servers: [nats.url], create_stream: true, ack_wait_ms: ACK_WAIT_MS },
        postgresql: { url: postgres.url('writer') },
      });
      gateways.push(keep(gateway));
    }
    const agents: AgentProcess[] = [];
    for (let index = 0; index < agentCount; index++) {
      const agent = await startAgentProcess({
        exporters: { nats: { servers: [nats.url], timeout_ms: 2_000, retry: { max_ms: 500 } } },
        config: { agent: { name: `agent-${index}`, vocabulary_file: VOCABULARY } },
      });
      agents.push(keep(agent));
    }
    const pipeline = { postgres, nats, gateways, agents };
    await whenShared(gateways);
    return { ...pipeline, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Resolves once the gateways consume each shard, and all of them some. */
export async function whenShared(gateways: readonly GatewayProcess[]): Promise<void> {
  await eventually(async () => {
    const shards = await Promise.all(gateways.map(async (one) => (await one.status()).shards));
    expect(shards.flat().toSorted().join('')).toBe('0123456789abcdef');
    expect(Math.min(...shards.map(({ length }) => length))).toBeGreaterThan(0);
  });
}

/** Runs the trial. Fails by `expect`. */
export async function runGatewayTrial(options: GatewayTrialOptions): Promise<GatewayTrialReport> {
  const random = createRandom(options.seed);
  const startedMs = performance.now();
  options.say?.(`seed ${options.seed}, ${options.kills} kills`);
  await using pipeline = await startPipeline(2, 3);
  const { agents, gateways, nats } = pipeline;
  const producers: Producer[] = [];
  await using _ended = {
    [Symbol.asyncDispose]: async () => {
      for (const producer of producers) await producer.kill();
    },
  };
  for (const [index, agent] of agents.entries())
    producers.push(await startSdkProducer(agent, `producer-${index}`, LOAD));

  const kills = { gateway: 0, agent: 0, nats: 0 };
  for (let kill = 0; kill < options.kills; kill++) {
    await pause(random() * UNDER_LOAD_MS_MAX);
    // Each kind is met, also in a short trial.
    const kind = (['gateway', 'nats', 'gateway', 'agent'] as const)[kill % 4] ?? 'gateway';
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const victim = { gateway: pick(gateways), agent: pick(agents), nats }[kind];
    await victim.kill();
    kills[kind] += 1;
    // At times it stays away long enough for others to take over.
    if (random() < 0.3) await pause(random() * UNDER_LOAD_MS_MAX);
    await victim.start();
  }

  for (const producer of producers) await producer.stop();
  const heard = await Promise.all(producers.map((producer) => producer.heard()));
  const acked = heard.flatMap((one) => one.acked);
  expect(heard.flatMap(({ failed }) => failed)).toEqual([]);
  expect(acked.length).toBe(heard.reduce((sum, { made }) => sum + (made ?? NaN), 0));
  const records = await expectAllStored(pipeline, acked);
  const statuses = await Promise.all(gateways.map((gateway) => gateway.status()));
  for (const gateway of gateways) expect(await gateway.letters()).toEqual([]);
  await expectStreamEmpty(nats);
  return {
    kills,
    acked: acked.length,
    records,
    repeated: statuses.reduce((sum, status) => sum + status.repeated_total, 0),
    early: statuses.reduce((sum, status) => sum + status.early_total, 0),
    seconds: Math.round((performance.now() - startedMs) / 1000),
  };
}

/**
 * Waits until the store holds as many records as the ledgers; then they are the same ones, each once,
 * every acked event is among them under its receipt, and the store verifies.
 */
export async function expectAllStored(
  { agents, postgres }: Pick<Pipeline, 'agents' | 'postgres'>,
  acked: readonly Acked[],
): Promise<number> {
  for (const agent of agents) await agent.delivered(SETTLE_MS);
  const sealed = (
    await Promise.all(agents.map((agent) => readRecords(join(agent.dir, 'ledger'))))
  ).flat();
  const wanted = sealed.map(({ event, this_hash }) =>
    lineOf({
      event_id: event.event_id,
      stream: event.chain.stream,
      seq: event.chain.seq,
      this_hash,
    }),
  );
  const stored = async (): Promise<string[]> =>
    (await readStore(postgres.url('auditor'))).map(lineOf);
  await vi.waitFor(
    async () => expect((await stored()).length).toBeGreaterThanOrEqual(wanted.length),
    {
      timeout: SETTLE_MS,
      interval: 250,
    },
  );
  const found = await stored();
  expect(found.toSorted()).toEqual(wanted.toSorted());
  const inStore = new Set(found);
  expect(acked.map(lineOf).filter((line) => !inStore.has(line))).toEqual([]);
  const verified = await runCli(['verify', '--store', postgres.url('auditor'), '--json']);
  expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'intact', findings: [], gaps: [] });
  expect(verified.code).toBe(0);
  return wanted.length;
}

/** What is stored leaves JetStream, also what a killed server had forgotten the answers to. */
async function expectStreamEmpty(nats: TestNats): Promise<void> {
  const connection = await connect({ servers: nats.url });
  try {
    const manager = await jetstreamManager(connection);
    await vi.waitFor(
      async () => expect((await manager.streams.info('SEALTRAIL')).state.messages).toBe(0),
      { timeout: SETTLE_MS, interval: 250 },
    );
  } finally {
    await connection.close();
  }
}

function lineOf({ event_id, stream, seq, this_hash }: Acked): string {
  return `${stream} ${seq} ${event_id} ${this_hash}`;
}
