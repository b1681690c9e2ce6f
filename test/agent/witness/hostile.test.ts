/** A witness and clients that nobody has asked: they cannot make it look ill, nor keep it from stopping. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startWitness, type RunningWitness } from '../../../agent/witness.ts';
import { silentLog } from '../../support/append-stage.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { createTestLog } from '../../support/witness.ts';

interface Trial extends AsyncDisposable {
  readonly witness: RunningWitness;
  readonly errors: string[];
  readonly warnings: string[];
  open(text: string): Promise<Socket>;
}

async function begin(): Promise<Trial> {
  const folder = await makeTempDir();
  const trustFile = join(folder.path, 'keys.txt');
  await writeFile(trustFile, createTestLog().vkey);
  const [errors, warnings]: [string[], string[]] = [[], []];
  const started = await startWitness({
    dataDir: join(folder.path, 'w'),
    listen: '127.0.0.1:0',
    trustFile,
    name: 'w.example',
    log: {
      ...silentLog,
      error: (_, message) => void errors.push(message),
      warn: (_, message) => void warnings.push(message),
    },
  });
  if (!started.ok) throw new Error(started.error);
  const { port } = new URL(started.value.url);
  return {
    witness: started.value,
    errors,
    warnings,
    open: async (text) => {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
      await once(socket, 'connect');
      await new Promise((done) => socket.write(text, done));
      return socket;
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const HALF = 'POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold 0';

test('a client that goes away within its request is no fault of the witness: its probe stays well', async () => {
  await using trial = await begin();
  const health = async (): Promise<number> => (await fetch(`${trial.witness.url}/healthz`)).status;
  expect(await health()).toBe(200);
  for (let at = 0; at < 20; at += 1) (await trial.open(HALF)).destroy();
  // Served in their order: what was cut off is known when a later one was answered in full.
  const last = await trial.open(HALF);
  last.resetAndDestroy();
  for (let at = 0; at < 20; at += 1) expect(await health()).toBe(200);
  expect(trial.errors).toEqual([]);
  await trial.witness.stop();
});

test('a stop does not wait for a client that sends a byte now and then', async () => {
  await using trial = await begin();
  const slow = await trial.open(HALF);
  let isStopped = false;
  const stopped = trial.witness.stop().then(() => (isStopped = true));
  // Of its ten seconds the client gets one. Counted in turns of this process: while that stands still, nobody waits.
  for (let turn = 0; turn < 60 && !isStopped; turn++) await pause(100);
  expect(isStopped).toBe(true);
  await stopped;
  slow.destroy();
});

test('requests that no known log has signed are refused, and do not fill the log', async () => {
  await using trial = await begin();
  const stranger = await createTestLog().body(0, 3);
  const beganMs = Date.now();
  for (const body of Array.from({ length: 100 }, (_, at) => (at % 2 === 0 ? 'no' : stranger))) {
    const answer = await fetch(`${trial.witness.url}/add-checkpoint`, { method: 'POST', body });
    expect([400, 403]).toContain(answer.status);
  }
  expect(trial.warnings.length).toBeGreaterThan(0);
  expect(trial.warnings.length).toBeLessThanOrEqual((Date.now() - beganMs) / 1_000 + 1);
  await trial.witness.stop();
});
