/**
 * The SDK, the socket, the append stage and the ledger together, while connections break at any byte,
 * the disk refuses and fails, and the agent starts anew: what record() said is what the ledger holds.
 */
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeFilesystem, type Filesystem, type LedgerFile } from '../../ledger/filesystem.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { AuditError } from '../../sdk/index.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';
import { startSocketReceiver, type TestSocketReceiver } from '../support/socket-receiver.ts';

interface Disk extends Filesystem {
  /** Operations that fail from now on, each with its code. */
  readonly fails: Map<'append' | 'datasync', 'ENOSPC' | 'EIO'>;
}

/** The real disk; an append that fails has written a part. */
function createDisk(): Disk {
  const fails: Disk['fails'] = new Map();
  /** The error of an operation that begins now. */
  const failureOf = (operation: 'append' | 'datasync'): Error | null => {
    const code = fails.get(operation);
    // A failed fsync fails once, as it does; a full disk stays full.
    if (code === 'EIO') fails.delete(operation);
    return code === undefined ? null : Object.assign(new Error(`${code}: ${operation}`), { code });
  };
  const wrap = (file: LedgerFile): LedgerFile => ({
    ...file,
    append: async (bytes) => {
      const failure = failureOf('append');
      await file.append(failure === null ? bytes : bytes.subarray(0, bytes.length / 3));
      if (failure !== null) throw failure;
    },
    datasync: async () => {
      const failure = failureOf('datasync');
      if (failure !== null) throw failure;
      await file.datasync();
    },
  });
  return {
    ...nodeFilesystem,
    fails,
    create: async (path) => wrap(await nodeFilesystem.create(path)),
    open: async (path) => wrap(await nodeFilesystem.open(path)),
  };
}

/** Stands between the two and cuts connections once so many bytes passed, in either direction. */
async function startCutter(path: string, to: string, cuts: readonly number[]): Promise<Server> {
  let connections = 0;
  const server = createServer((client) => {
    const agent = connect({ path: to });
    let left = cuts[connections++] ?? Number.POSITIVE_INFINITY;
    const end = (): void => {
      client.destroy();
      agent.destroy();
    };
    const pass = (from: Socket, into: Socket): void => {
      from.on('data', (bytes) => {
        into.write(bytes.subarray(0, Math.min(bytes.length, left)));
        left -= bytes.length;
        if (left <= 0) setImmediate(end);
      });
      from.on('error', end).on('close', end);
    };
    pass(client, agent);
    pass(agent, client);
  });
  await new Promise<void>((ready) => server.listen(path, ready));
  return server;
}

const step = fc.record({
  events: fc.integer({ min: 1, max: 80 }),
  then: fc.constantFrom('nothing', 'fail', 'tear', 'fill', 'restart', 'wait'),
});

test('whatever breaks, an event is recorded once, or its caller was told', async () => {
  const scenario = fc.record({
    steps: fc.array(step, { minLength: 2, maxLength: 7 }),
    cuts: fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 6 }),
    segmentBytes: fc.constantFrom(20_000, 1 << 26),
  });
  const property = fc.asyncProperty(scenario, async ({ steps, cuts, segmentBytes }) => {
    await using temp = await makeMemoryDir();
    const filesystem = createDisk();
    const start = (): Promise<TestSocketReceiver> =>
      startSocketReceiver({ folder: temp.path, stage: { filesystem, segmentBytes } });
    let receiver = await start();
    const front = join(temp.path, 'front.sock');
    const cutter = await startCutter(front, receiver.socketPath, cuts);
    const audits = [1, 2].map(() => createTestAudit(front, { timeoutMs: 3_000, tenant: 'acme' }));
    const outcomes = new Map<string, 'recorded' | 'no' | 'unknown'>();
    const calls: Promise<void>[] = [];
    let next = 0;

    for (const { events, then } of steps) {
      for (let n = 0; n < events; n++) {
        const id = `e-${next++}`;
        const resource = { type: 'customer', id };
        const call = audits[n % 2]?.record(draft({ resource })).then(
          () => outcomes.set(id, 'recorded'),
          (error: unknown) => outcomes.set(id, error instanceof AuditError ? error.recorded : 'no'),
        );
        calls.push(Promise.resolve(call).then(() => undefined));
      }
      if (then === 'fail') filesystem.fails.set('datasync', 'EIO');
      if (then === 'tear') filesystem.fails.set('append', 'EIO');
      if (then === 'fill') filesystem.fails.set('append', 'ENOSPC');
      if (then === 'wait') await Promise.race(calls);
      // Some turns of the event loop, with the disk's answers in them.
      for (let turn = 0; turn < 20; turn++) await nodeFilesystem.list(temp.path);
      if (then === 'fill') filesystem.fails.clear();
      // An agent whose disk has failed ends, and is started again.
      if (then !== 'restart' && receiver.test.failures.length === 0) continue;
      await receiver[Symbol.asyncDispose]();
      receiver = await start();
    }
    filesystem.fails.clear();
    await Promise.all(calls);
    await Promise.all(audits.map((audit) => audit.close()));
    cutter.close();
    await receiver[Symbol.asyncDispose]();
    // The next start cuts off what a failed disk has kept of a batch.
    await (await start())[Symbol.asyncDispose]();

    const verification = await verifyLedger(join(temp.path, 'ledger'));
    expect(verification.verdict).not.toBe('broken');
    const counts = new Map<string, number>();
    for (const { event } of await readRecords(join(temp.path, 'ledger')))
      counts.set(event.resource.id, (counts.get(event.resource.id) ?? 0) + 1);
    expect(outcomes.size).toBe(next);
    for (const [id, outcome] of outcomes) {
      const count = counts.get(id) ?? 0;
      if (outcome === 'recorded') expect(count, `${id} was acked`).toBe(1);
      else if (outcome === 'no') expect(count, `${id} is said not to be recorded`).toBe(0);
      else expect(count, `${id} may be recorded`).toBeLessThanOrEqual(1);
    }
    expect(verification.gaps, 'nothing was lost on the way').toEqual([]);
    await rm(front, { force: true });
  });
  await fc.assert(property, { numRuns: 25 });
}, 900_000);
