/** The server goes away in the middle, stalls, or has no space left: nothing confirmed is lost or doubled. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  startEmbeddedPostgres,
  stopOrphanedPostgres,
  type EmbeddedPostgres,
} from '../../store/embedded.ts';
import { embeddedAddress } from '../../store/embedded-address.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store, StoredRecord } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { seedCluster } from '../support/cluster-template.ts';
import { startStopwatch } from '../support/eventually.ts';
import { mayMount, testWhere } from '../support/host.ts';
import { connectTo } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

// Servers are started, killed and recovered: that takes its time on a busy machine.
let root: string;
let dir: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sealtrail-outage-'));
  await chmod(root, 0o755);
  dir = join(root, 'postgres');
});

afterEach(async () => {
  await stopOrphanedPostgres(dir);
  await rm(root, { recursive: true, force: true, maxRetries: 10 });
});

async function start(): Promise<EmbeddedPostgres> {
  if (!existsSync(dir)) await seedCluster(dirname(dir));
  const started = await startEmbeddedPostgres({ dir, port: 0 });
  if (!started.ok) throw new Error(started.error.message);
  return started.value;
}

/** As the agent opens it: the address is asked for at each connect. */
function openStore(): Store {
  return createPostgresStore({
    url: embeddedAddress(dir, 'writer'),
    ownerUrl: embeddedAddress(dir, 'owner'),
  });
}

function makeBatches(batches: number, size: number): StoredRecord[][] {
  const sealer = createSealer();
  return Array.from({ length: batches }, () => Array.from({ length: size }, () => sealer.seal()));
}

/** Sends a batch until it is confirmed, as delivery does; returns the failures. */
async function insist(store: Store, batch: readonly StoredRecord[]): Promise<string[]> {
  const failures: string[] = [];
  for (;;) {
    const done = await store.appendRecords(batch);
    if (done.ok) {
      expect(done.value.refused).toEqual([]);
      expect(done.value.stored + done.value.repeated).toBe(batch.length);
      return failures;
    }
    expect(done.error.kind).toBe('unavailable');
    failures.push(done.error.message);
  }
}

describe('a server that goes away', () => {
  test('connections cut in the middle of batches: each record is stored once', async () => {
    const server = await start();
    const store = openStore();
    await store.migrate();
    const failures: string[] = [];
    await using admin = await connectTo(server.adminUrl);
    let isDone = false;
    const cut = async (): Promise<void> => {
      // A look at a moment without a connection has cut none.
      for (let cuts = 0; !isDone && (cuts < 20 || failures.length === 0);) {
        const { rowCount } = await admin.client.query(
          `SELECT pg_sleep(random() * 0.08), pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'sealtrail' LIMIT 1`,
        );
        cuts += rowCount ?? 0;
      }
    };
    const cutting = cut();
    // Where whoever cuts stands still, there are more batches: one of them is cut.
    const sealer = createSealer();
    let batches = 0;
    for (; batches < 25 || failures.length === 0; batches += 1) {
      const batch = Array.from({ length: 200 }, () => sealer.seal());
      failures.push(...(await insist(store, batch)));
    }
    isDone = true;
    await cutting;
    await store.close();
    const verification = await verifyStore({ url: server.auditorUrl });
    expect(verification).toMatchObject({ verdict: 'intact', records: batches * 200 });
  });

  test('kill -9 of the server in the middle of a batch', async () => {
    const first = await start();
    const store = openStore();
    await store.migrate();
    const [before, during] = makeBatches(2, 1_200);
    await insist(store, before!);
    // Halfway: the keys of the batch go in, its records have to wait.
    await using blocker = await connectTo(first.adminUrl);
    await blocker.client.query('BEGIN; LOCK TABLE audit.records IN SHARE MODE');
    // A transaction sees one picture of the activity; so somebody else looks.
    await using watcher = await connectTo(first.adminUrl);
    const pending = store.appendRecords(during!);
    await expect
      .poll(
        async () =>
          (
            await watcher.client
              .query(`SELECT FROM pg_stat_activity WHERE query ~ 'INSERT INTO audit.records'
             AND wait_event_type = 'Lock' AND application_name = 'sealtrail'`)
          ).rowCount,
        { interval: 20 },
      )
      .toBeGreaterThan(0);
    process.kill(first.pid, 'SIGKILL');
    expect(await pending).toMatchObject({ ok: false, error: { kind: 'unavailable' } });
    const second = await start();
    await insist(store, during!);
    expect(await insist(store, before!)).toEqual([]);
    await store.close();
    const verification = await verifyStore({ url: second.auditorUrl });
    expect(verification).toMatchObject({ verdict: 'intact', records: 2_400 });
  });

  test('a fast shutdown between batches is no uncaught error, and the next batch connects anew', async () => {
    const first = await start();
    const store = openStore();
    await store.migrate();
    const [one, two] = makeBatches(2, 10);
    await insist(store, one!);
    await first.stop();
    expect(await store.appendRecords(two!)).toMatchObject({ ok: false });
    await start();
    await insist(store, two!);
    await store.close();
  });
});

describe('a disk without space', () => {
  testWhere(mayMount, 'mounting a small disk needs root')(
    'costs time and no record: what was confirmed is there, the rest follows',
    async () => {
      const disk = join(root, 'disk');
      await mkdir(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m,mode=755', 'tmpfs', disk]);
      dir = join(disk, 'postgres');
      try {
        await start();
        const store = openStore();
        await store.migrate();
        const batches = makeBatches(10, 1_000);
        await insist(store, batches[0]!);
        const ballast = join(disk, 'ballast');
        const { bavail, bsize } = await statfs(disk);
        await writeFile(ballast, Buffer.alloc(bavail * bsize - 3 * 1024 * 1024));
        let at = 1;
        let failure = '';
        for (; at < batches.length && failure === ''; at++) {
          const done = await store.appendRecords(batches[at]!);
          if (!done.ok) failure = `${done.error.kind}: ${done.error.message}`;
        }
        expect(failure).toMatch(/^unavailable: /);
        await rm(ballast);
        // Where the log itself had no room the server ended; the agent starts it again.
        const server = await start();
        for (const batch of batches) await insist(store, batch);
        await store.close();
        const verification = await verifyStore({ url: server.auditorUrl });
        expect(verification).toMatchObject({ verdict: 'intact', records: 10_000 });
        await server.stop();
      } finally {
        await stopOrphanedPostgres(dir);
        execFileSync('umount', ['-l', disk]);
      }
    },
  );
});

describe('a peer that never answers', () => {
  const sockets: Socket[] = [];
  let peer: Server;
  let first: Buffer | null;

  beforeEach(async () => {
    first = null;
    peer = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', (bytes) => (first = bytes));
    });
    await new Promise<void>((listening) => peer.listen(0, '127.0.0.1', listening));
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    peer.close();
  });

  const urlOf = (query = ''): string =>
    `postgresql://u:p@127.0.0.1:${(peer.address() as AddressInfo).port}/sealtrail${query}`;

  async function heard(): Promise<Buffer> {
    await expect.poll(() => first).not.toBeNull();
    return first ?? Buffer.alloc(0);
  }

  test.each(['close', 'abort'])(
    '%s ends an append that is still connecting, at once',
    async (how) => {
      const store = createPostgresStore({ url: urlOf() });
      const abort = new AbortController();
      const pending = store.appendRecords([createSealer().seal()], abort.signal);
      await heard();
      const elapsedMs = startStopwatch();
      if (how === 'abort') abort.abort();
      else await store.close();
      // Not by the time that a connection may take to come about.
      const message = expect.not.stringMatching(/timeout/) as string;
      expect(await pending).toMatchObject({ ok: false, error: { kind: 'unavailable', message } });
      expect(elapsedMs()).toBeLessThan(5_000);
      await store.close();
      await expect.poll(() => sockets[0]?.closed).toBe(true);
    },
  );

  test('configured TLS is asked for, whatever the sslmode of the URL says', async () => {
    const store = createPostgresStore({
      url: urlOf('?sslmode=disable'),
      tls: { insecure_skip_verify: false },
    });
    const pending = store.appendRecords([createSealer().seal()]);
    // SSLRequest: length 8, code 80877103.
    expect((await heard()).toString('hex')).toBe('0000000804d2162f');
    await store.close();
    expect(await pending).toMatchObject({ ok: false });
  });
});
