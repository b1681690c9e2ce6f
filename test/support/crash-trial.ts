/**
 * The crash trial: an agent and its producers under load, killed with SIGKILL at moments that a seed
 * chooses, again and again; then everything that was ever acked is looked for, everywhere.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { startAgentProcess, type AgentProcess } from './agent-process.ts';
import { eventually } from './eventually.ts';
import { expectEachOnce, type Acked } from './outcome.ts';
import {
  startOtlpProducer,
  startSdkProducer,
  type Heard,
  type Load,
  type Producer,
} from './producer.ts';
import { processesOn, signal } from './processes.ts';

export interface CrashOptions {
  /** Processes to kill in all, at least: agents, producers, databases. */
  readonly kills: number;
  readonly seed: number;
  readonly say?: (line: string) => void;
}

export interface CrashReport {
  readonly kills: number;
  /** Kills of an agent that had not said yet that it was ready. */
  readonly killsWhileStarting: number;
  readonly producersKilled: number;
  /** Kills of the embedded PostgreSQL, together with the agent. */
  readonly databasesKilled: number;
  readonly acked: number;
  readonly records: number;
  readonly seconds: number;
}

/** Never killed: they MUST have every event recorded, once. */
const STEADY = 2;
/** Killed at times, and replaced. */
const MORTAL = 2;
const LOAD: Load = { burstMax: 150, pauseMs: 40 };
const UNDER_LOAD_MS_MAX = 250;
const STARTING_MS_MAX = 900;
const KILL_WHILE_STARTING = 0.25;
const KILL_PRODUCER = 0.8;
const KILL_DATABASE = 0.1;
/** A trial in which nothing happened would prove nothing. */
export const ACKED_MIN = 500;
/** Small, so that kills meet the cutting of segments as well. */
const LEDGER = { segment_bytes: 262_144, batch_bytes_max: 131_072 };

/** Runs the trial on an agent with its embedded PostgreSQL and both SIEM files. Fails by `expect`. */
export async function runCrashTrial(options: CrashOptions): Promise<CrashReport> {
  const say = options.say ?? (() => undefined);
  const random = createRandom(options.seed);
  const startedMs = performance.now();
  say(`seed ${options.seed}, ${options.kills} kills`);
  await using agent = await startAgentProcess({
    config: { ledger: LEDGER },
  });
  await agent.delivered();
  await using crew = await startCrew(agent);

  let killsWhileStarting = 0;
  let databasesKilled = 0;
  let agentsKilled = 0;
  const kills = (): number => agentsKilled + databasesKilled + crew.killed();
  while (kills() < options.kills) {
    if (await killOnce(agent, random)) killsWhileStarting += 1;
    agentsKilled += 1;
    if (agentsKilled % 100 === 0) say(`${agentsKilled} agents killed`);
    if (random() < KILL_DATABASE) databasesKilled += await killDatabase(agent);
    if (random() < KILL_PRODUCER) await crew.replaceOne(random);
  }
  await agent.start();
  await eventually(async () => expect(ackedIn(await crew.heard())).toBeGreaterThan(ACKED_MIN));
  await crew.stop();
  const { acked, records } = await judge(agent, await crew.heard());
  expect(await agent.stop()).toBe(0);
  return {
    kills: kills(),
    killsWhileStarting,
    producersKilled: crew.killed(),
    databasesKilled,
    acked,
    records,
    seconds: Math.round((performance.now() - startedMs) / 1000),
  };
}

/** Kills the agent while it starts, or a moment after it has acked its first event; true: while it started. */
async function killOnce(agent: AgentProcess, random: () => number): Promise<boolean> {
  const isRunning = agent.pid() !== 0;
  if (!isRunning && random() < KILL_WHILE_STARTING) {
    const outcome = agent.start().then(
      () => 'ready',
      () => 'killed',
    );
    await pause(random() * STARTING_MS_MAX);
    await agent.kill();
    return (await outcome) === 'killed';
  }
  if (!isRunning) await agent.start();
  await eventually(async () => expect((await agent.status()).acks_total).toBeGreaterThan(0), 10);
  await pause(random() * UNDER_LOAD_MS_MAX);
  await agent.kill();
  return false;
}

/** Kills the database that the agent left behind; how many there were. */
async function killDatabase(agent: AgentProcess): Promise<number> {
  const servers = (await processesOn(agent.dir)).filter(({ name }) => name.includes(' -D '));
  // A kill of the agent while it started may have left one that is on its way out.
  return servers.filter(({ pid }) => signal(pid, 'SIGKILL')).length;
}

interface Crew extends AsyncDisposable {
  /** Kills one of the mortal producers and puts another in its place. */
  replaceOne(random: () => number): Promise<void>;
  killed(): number;
  /** Ends the load; every event that was made is answered then. */
  stop(): Promise<void>;
  heard(): Promise<{ readonly steady: readonly Heard[]; readonly killed: readonly Heard[] }>;
}

async function startCrew(agent: AgentProcess): Promise<Crew> {
  let next = 0;
  const startOne = (): Promise<Producer> => startSdkProducer(agent, `producer-${next++}`, LOAD);
  const steady = [await startOtlpProducer(agent, 'otlp', { burstMax: 10, pauseMs: 200 })];
  for (let n = 0; n < STEADY; n++) steady.push(await startOne());
  const mortal: Producer[] = [];
  for (let n = 0; n < MORTAL; n++) mortal.push(await startOne());
  const killed: Producer[] = [];

  return {
    replaceOne: async (random) => {
      const victim = mortal.splice(Math.floor(random() * mortal.length), 1);
      await Promise.all(victim.map((one) => one.kill()));
      killed.push(...victim);
      mortal.push(await startOne());
    },
    killed: () => killed.length,
    stop: async () => {
      await Promise.all([...steady, ...mortal].map((producer) => producer.stop()));
    },
    heard: async () => ({
      steady: await Promise.all([...steady, ...mortal].map((producer) => producer.heard())),
      killed: await Promise.all(killed.map((producer) => producer.heard())),
    }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...steady, ...mortal].map((producer) => producer.kill()));
    },
  };
}

const ackedIn = ({ steady, killed }: Awaited<ReturnType<Crew['heard']>>): number =>
  [...steady, ...killed].reduce((sum, one) => sum + one.acked.length + one.ackedRecords.length, 0);

async function judge(
  agent: AgentProcess,
  { steady, killed }: { readonly steady: readonly Heard[]; readonly killed: readonly Heard[] },
): Promise<{ readonly acked: number; readonly records: number }> {
  for (const { made, acked, ackedRecords, failed } of steady) {
    expect(failed, 'no event of a live producer was given up').toEqual([]);
    expect(acked.length + ackedRecords.length, 'each of its events was acked').toBe(made);
  }
  const heard = [...steady, ...killed];
  const acked = heard.flatMap((one) => one.acked);
  const records = await expectEachOnce(agent, acked);

  const foreign = new Map<string, Omit<Acked, 'event_id'>>();
  for (const { event, this_hash } of records) {
    const id = event.origin?.record_id;
    if (id === undefined) continue;
    expect(foreign.has(id), `record ${id} stands once`).toBe(false);
    foreign.set(id, { stream: event.chain.stream, seq: event.chain.seq, this_hash });
  }
  const ackedRecords = heard.flatMap((one) => one.ackedRecords);
  for (const { id, receipt } of ackedRecords) {
    expect(foreign.has(id), `record ${id} is there`).toBe(true);
    if (receipt !== undefined) expect(foreign.get(id)).toEqual(receipt);
  }
  return { acked: acked.length + ackedRecords.length, records: records.length };
}

/** Mulberry32: the same seed gives the same kills. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
