/**
 * `sealtrail demo`: a store with a month of several tenants' audit trail, the logs and traces of some of its requests,
 * and one record altered behind everybody's back. All of it takes the agent's own ways, but that the clock is the
 * story's. Nothing here is shared with what investigates.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { startAgent } from '../agent/agent.ts';
import { createCopier } from '../agent/checkpoint-copies.ts';
import type { Logger } from '../agent/ports.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { createConnection } from '../store/connection.ts';
import { startEmbeddedPostgres, stopOrphanedPostgres } from '../store/embedded.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import { CONFIG_FILE, writeConfig, type DemoConfig } from './config.ts';
import { operate } from './operations.ts';
import { createRandom } from './random.ts';
import { monthOf } from './scene.ts';
import { sealStory, type Sealed } from './seal.ts';
import { tellStory, type Story } from './story.ts';
import { layUponColleague } from './tamper.ts';

export interface DemoOptions {
  readonly dataDir: string;
  readonly seed: number;
  /** Like 2026-10. */
  readonly month: string;
  readonly isTampered: boolean;
  /** The actions that may be recorded. */
  readonly vocabularyFile: string;
  readonly log: Logger;
  readonly onProgress: (step: string) => void;
}

export interface Demo {
  readonly events: number;
  readonly configFile: string;
  readonly logFile: string;
  readonly traceFile: string;
  /** The store's address for an auditor; the server runs on. */
  readonly auditorUrl: string;
}

/** Makes the demonstration in a directory that holds no ledger yet. */
export async function makeDemo(options: DemoOptions): Promise<Result<Demo, string>> {
  const dataDir = resolve(options.dataDir);
  // A real agent's directory, or one with its configuration, is written over by no demonstration.
  for (const name of ['ledger', CONFIG_FILE, basename(embeddedHome(dataDir))])
    if (existsSync(join(dataDir, name)))
      return err(`${dataDir} holds ${name} already; name another --data-dir, or remove it`);
  const configured = await writeConfig(dataDir, options.vocabularyFile);
  if (!configured.ok) return configured;
  const { config, vocabulary, path } = configured.value;
  const story = tellStory(options.seed, options.month, vocabulary);
  const random = createRandom(options.seed + 1);
  options.onProgress(`sealing ${story.told.length} events of ${options.month}`);
  const { fromMs } = monthOf(options.month);
  const { told } = story;
  const sealed = await sealStory({ config, vocabulary, told, fromMs, random, log: options.log });
  if (!sealed.ok) return sealed;
  options.onProgress('delivering them to the store of record and the SIEM files');
  const delivered = await deliverAll(configured.value, options.log);
  if (!delivered.ok) return delivered;
  const server = await startEmbeddedPostgres({ dir: embeddedHome(dataDir), port: 0 });
  if (!server.ok) return err(server.error.message);
  await copyCheckpoints(dataDir);
  if (options.isTampered) await layUponColleague(server.value.adminUrl, story.truth.hidden);
  const files = await writeFiles(dataDir, story, sealed.value, options);
  return ok({
    ...files,
    events: told.length,
    configFile: path,
    auditorUrl: server.value.auditorUrl,
  });
}

/** Ends the server that a demonstration left running; false: none runs. */
export function stopDemo(dataDir: string): Promise<boolean> {
  return stopOrphanedPostgres(embeddedHome(resolve(dataDir)));
}

/** A whole agent, which stops as soon as all is delivered. */
async function deliverAll(
  { config, vocabulary }: DemoConfig,
  log: Logger,
): Promise<Result<null, string>> {
  const agent = await startAgent({
    config,
    vocabulary,
    log,
    reread: () => Promise.resolve(ok({ config, vocabulary })),
  });
  if (!agent.ok) return agent;
  const database = await agent.value.database;
  // A stop delivers what is left, which is all of it.
  await agent.value.stop();
  return typeof database === 'string' ? err(database) : ok(null);
}

/** That agent ran for less than the interval at which an agent does it. */
async function copyCheckpoints(dataDir: string): Promise<void> {
  const url = embeddedAddress(embeddedHome(dataDir), 'writer');
  const copier = createCopier(
    join(dataDir, 'checkpoints/journal.ndjson'),
    createConnection({ url, applicationName: 'sealtrail demo' }),
  );
  await copier.copy();
  copier.close();
}

async function writeFiles(
  dataDir: string,
  { told, truth }: Story,
  { receipts, gap }: Sealed,
  { seed, isTampered }: DemoOptions,
): Promise<Pick<Demo, 'logFile' | 'traceFile'>> {
  const folder = join(dataDir, 'operations');
  await mkdir(folder, { recursive: true });
  const [logFile, traceFile] = [join(folder, 'app.ndjson'), join(folder, 'traces.ndjson')];
  const { logs, spans } = operate(told, createRandom(seed + 2));
  await writeFile(logFile, `${logs.join('\n')}\n`);
  await writeFile(traceFile, `${spans.join('\n')}\n`);
  const { hidden, ...known } = truth;
  const tampering = isTampered ? { event_id: hidden, ...receipts.get(hidden) } : null;
  const text = JSON.stringify({ ...known, gap, tampering }, null, 2);
  await writeFile(join(dataDir, 'ground-truth.json'), `${text}\n`);
  return { logFile, traceFile };
}
