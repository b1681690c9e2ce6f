/** Producers in processes of their own (producers/*.mjs), killed or stopped by pid, and what they noted. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { VOCABULARY, type AgentProcess } from './agent-process.ts';
import { eventually } from './eventually.ts';
import type { Acked } from './outcome.ts';

/** What a producer heard, whether it lived to the end or not. */
export interface Heard {
  readonly acked: readonly Acked[];
  /** Foreign record ids, with the receipt where the signal has one. */
  readonly ackedRecords: readonly {
    readonly id: string;
    readonly receipt: Omit<Acked, 'event_id'> | undefined;
  }[];
  /** Codes of record() calls that were rejected. */
  readonly failed: readonly string[];
  /** Events made by a producer that ended in order; null of one that was killed. */
  readonly made: number | null;
}

export interface Producer {
  kill(): Promise<void>;
  /** SIGTERM; resolves once every event it made is answered. Fails if that takes too long. */
  stop(): Promise<void>;
  heard(): Promise<Heard>;
}

export interface Load {
  /** Events at once, up to. */
  readonly burstMax: number;
  /** Between bursts, up to. */
  readonly pauseMs: number;
}

/** Starts an application that records through the SDK. */
export async function startSdkProducer(
  agent: AgentProcess,
  name: string,
  load: Load,
): Promise<Producer> {
  const options = { socketPath: agent.socketPath, vocabulary: VOCABULARY, service: name };
  const key = await agent.redactionKey();
  return start('sdk.mjs', join(agent.dir, `${name}.ndjson`), { ...options, ...load }, key);
}

/** Starts a client that sends OTLP/JSON. */
export async function startOtlpProducer(
  agent: AgentProcess,
  name: string,
  load: Load,
): Promise<Producer> {
  const log = join(agent.dir, `${name}.ndjson`);
  return start('otlp.mjs', log, { url: agent.otlpUrl, ...load }, '');
}

function start(script: string, log: string, options: object, key: string): Producer {
  // It may be killed before it gets to its first line.
  writeFileSync(log, '');
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'producers', script), JSON.stringify({ ...options, log })],
    {
      env: { ...process.env, SEALTRAIL_REDACTION_KEY: key },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const exited = once(child, 'exit');

  return {
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    stop: async () => {
      // Before its first answer it may not listen yet, and the signal would end it as any other.
      await eventually(async () => expect(await readFile(log, 'utf8')).not.toBe(''));
      child.kill('SIGTERM');
      await exited;
      expect(child.exitCode, `${script}: ${errors}`).toBe(0);
    },
    heard: async () => parseHeard(await readFile(log, 'utf8')),
  };
}

interface Note {
  readonly acked?: Acked;
  readonly ackedRecord?: string;
  readonly receipt?: Omit<Acked, 'event_id'>;
  readonly failed?: string;
  readonly made?: number;
}

function parseHeard(text: string): Heard {
  const notes = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Note);
  return {
    acked: notes.flatMap(({ acked }) => (acked === undefined ? [] : [acked])),
    ackedRecords: notes.flatMap(({ ackedRecord: id, receipt }) =>
      id === undefined ? [] : [{ id, receipt }],
    ),
    failed: notes.flatMap(({ failed }) => (failed === undefined ? [] : [failed])),
    made: notes.at(-1)?.made ?? null,
  };
}
