/** A full disk under the real agent: its data directory on a file system of a few MiB. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { startGoodClient } from '../support/good-client.ts';
import { mayMount, mountTmpfs, testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readLines, readRecords } from '../support/outcome.ts';

const testMount = testWhere(mayMount, 'ENOSPC on a tmpfs: only root may mount one');
const LEDGER = { reserve_bytes: 65_536, segment_bytes: 1 << 20, batch_bytes_max: 1 << 18 };
const DISK_MEBIBYTES = 4;

/** What the agent recorded about its own disk. */
async function diskEvents(agent: AgentProcess): Promise<readonly unknown[]> {
  return (await readRecords(join(agent.dir, 'ledger')))
    .filter(({ event }) => event.event.action === 'ledger.disk_full')
    .map(({ event }) => [event.event.outcome, event.metadata['state']]);
}

testMount(
  'a full disk refuses with disk_full, is itself recorded, lets sinks drain, also after a kill, and takes events again by itself; nothing acked is lost',
  async () => {
    await using disk = await mountTmpfs(DISK_MEBIBYTES);
    await using elsewhere = await makeTempDir();
    const dir = join(disk.path, 'data');
    const [siem, lake] = [join(elsewhere.path, 'siem'), join(elsewhere.path, 'lake')];
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(1 << 20));
    await using agent = await startAgentProcess({
      dir,
      exporters: {
        'file/ecs': { path: join(siem, 'ecs.ndjson'), format: 'ecs', retry: { max_ms: 250 } },
        'file/ocsf': { path: join(lake, 'ocsf.ndjson'), format: 'ocsf', retry: { max_ms: 250 } },
      },
      config: { ledger: LEDGER },
    });

    await agent.delivered();
    // The sinks have to wait: a file stands where their folders were.
    for (const folder of [siem, lake]) {
      await rename(folder, `${folder}.away`);
      await writeFile(folder, '');
    }
    const giveBack = async (folder: string): Promise<void> => {
      await rm(folder);
      await rename(`${folder}.away`, folder);
    };

    // Long enough that each has its answer before its time is over.
    const filling = await startGoodClient(agent, { inFlight: 32, timeoutMs: 15_000 });
    await expect.poll(async () => (await agent.status()).append.state).toBe('disk_full');
    await expect.poll(() => filling.audit.stats().failures).toBeGreaterThan(0);
    const { acked, failed, unknown } = await filling.stop();
    // But for one that its last sending was not answered for in time: it MUST say that it may be recorded.
    const unanswered = unknown.filter((code) => code === 'timeout');
    expect(failed.filter((code) => code === 'timeout')).toEqual(unanswered);
    expect(new Set(failed.filter((code) => code !== 'timeout'))).toEqual(new Set(['disk_full']));
    expect(acked.length).toBeGreaterThan(500);
    expect(await diskEvents(agent)).toContainEqual(['failure', 'began']);
    expect((await runCli(['status', '--data-dir', dir])).code, 'status says so').toBe(1);
    expect((await fetch(`${agent.adminUrl}/readyz`)).status).toBe(503);
    expect((await agent.status()).nacks_total['disk_full']).toBeGreaterThan(0);

    await giveBack(siem);
    await expect
      .poll(async () => (await agent.status()).sinks)
      .toContainEqual(expect.objectContaining({ name: 'file/ecs', lag_records: 0 }));
    expect((await agent.status()).append.state, 'drained while the disk was full').toBe(
      'disk_full',
    );
    // Started again it finds no space either, and drains all the same.
    await agent.kill();
    await agent.start();
    const again = await startGoodClient(agent, { inFlight: 32, timeoutMs: 1_000 });
    await expect.poll(async () => (await agent.status()).append.state).toBe('disk_full');
    const between = await again.stop();
    await giveBack(lake);
    await agent.delivered();
    await rm(join(disk.path, 'ballast'));
    const after = await startGoodClient(agent, { inFlight: 2 });
    await after.reached(50);
    const resumed = await after.stop();
    expect(resumed.failed, 'by itself').toEqual([]);
    expect((await diskEvents(agent)).at(-1)).toEqual(['success', 'ended']);

    await agent.delivered();
    const records = await readRecords(join(dir, 'ledger'));
    const ids = records.map(({ event }) => event.event_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(
      expect.arrayContaining(
        [...acked, ...between.acked, ...resumed.acked].map(({ event_id }) => event_id),
      ),
    );
    const documents = await readLines<{ event: { id: string } }>(join(siem, 'ecs.ndjson'));
    expect(documents.map(({ event }) => event.id).sort()).toEqual(ids.toSorted());
    const rows = await readLines<{ metadata: { uid: string } }>(join(lake, 'ocsf.ndjson'));
    expect(rows.map(({ metadata }) => metadata.uid).sort()).toEqual(ids.toSorted());
    expect((await runCli(['verify', dir])).code).toBe(0);
    expect(await agent.stop()).toBe(0);
  },
);
