/**
 * A data directory that is put back to an older copy, as a restored backup does: the agent notices by what has left the
 * directory, and begins a new incarnation instead of giving places of the chain a second time.
 */
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { startGoodClient } from '../support/good-client.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readLines, readStore, type Acked } from '../support/outcome.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import {
  expectIntact,
  expectNoticed,
  incarnationsOf,
  recordSome,
  secured,
} from '../support/rollback.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const POSTGRESQL = (): object => ({
  embedded: false,
  url: postgres.url('writer'),
  owner_url: postgres.url('owner'),
});

const idsOf = (acked: readonly Acked[]): string[] => acked.map(({ event_id }) => event_id);

/** Records, takes a copy, records more, puts the copy back. `parts` of the directory only, where given. */
async function rollBack(
  agent: AgentProcess,
  parts: readonly string[] = ['.'],
): Promise<{ readonly kept: readonly Acked[]; readonly lost: readonly Acked[] }> {
  await using copy = await makeTempDir();
  const kept = await recordSome(agent);
  await secured(agent);
  await agent.stop();
  for (const part of parts)
    await cp(join(agent.dir, part), join(copy.path, part), { recursive: true });
  await agent.start();
  const lost = await recordSome(agent);
  await secured(agent);
  await agent.stop();
  for (const part of parts) {
    for (const name of await readdir(join(copy.path, part)))
      await rm(join(agent.dir, part, name), { recursive: true, force: true });
    await rm(join(agent.dir, part, 'dead-letter'), { recursive: true, force: true });
    if (part !== '.') await rm(join(agent.dir, part), { recursive: true });
    await cp(join(copy.path, part), join(agent.dir, part), { recursive: true });
  }
  return { kept, lost };
}

test('the store of record knows more: a new incarnation begins, and store and SIEM keep both', async () => {
  await using siem = await makeTempDir();
  const path = join(siem.path, 'ecs.ndjson');
  await using agent = await startAgentProcess({
    exporters: { postgresql: POSTGRESQL(), 'file/ecs': { path, format: 'ecs' } },
    config: {
      agent: {
        name: 'store-knows',
        vocabulary_file: VOCABULARY,
      },
    },
  });
  const { kept, lost } = await rollBack(agent);
  await agent.start();
  const status = await runCli(['status', '--data-dir', agent.dir]);
  expect(status.stdout).toMatch(/^warning +rollback/m);
  const after = await expectNoticed(agent, 'postgresql has it up to seq');

  expect(incarnationsOf([...kept, ...lost]).size).toBe(1);
  expect(incarnationsOf(after).size).toBe(1);
  expect(incarnationsOf(after)).not.toEqual(incarnationsOf(lost));
  const stored = (await readStore(postgres.url('auditor'))).map(({ event_id }) => event_id);
  expect(stored).toEqual(
    expect.arrayContaining([...kept, ...lost, ...after].map(({ event_id }) => event_id)),
  );
  const documents = await readLines<{ event: { id: string } }>(path);
  const ids = documents.map(({ event }) => event.id);
  expect(ids).toEqual(expect.arrayContaining(idsOf([...kept, ...lost, ...after])));
  expect((await agent.status()).sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0]);
  await expectIntact(postgres.url('auditor'));

  // Once noticed it is not told again, though the store has more of the old incarnation for good.
  await agent.stop();
  await agent.start();
  expect((await agent.status()).rollback).toBe(null);
  expect(incarnationsOf(await recordSome(agent))).toEqual(incarnationsOf(after));
});

test('only the head file knows more: noticed without any database', async () => {
  await using elsewhere = await makeTempDir();
  const head_file = join(elsewhere.path, 'head.json');
  await using agent = await startAgentProcess({ exporters: {}, config: { ledger: { head_file } } });
  const { lost } = await rollBack(agent);
  await agent.start();
  const after = await expectNoticed(agent, 'ledger.head_file knows of');
  expect(incarnationsOf(after)).not.toEqual(incarnationsOf(lost));
  await agent.stop();
  await agent.start();
  expect((await agent.status()).rollback).toBe(null);
  // It follows the ledger by a second at most.
  const { records } = (await agent.status()).append;
  await eventually(async () =>
    expect(JSON.parse(await readFile(head_file, 'utf8'))).toMatchObject({ records }),
  );
});

test('only the ledger was put back: cursors that are ahead of it follow, and delivery goes on', async () => {
  await using agent = await startAgentProcess({
    exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
  });
  const { kept, lost } = await rollBack(agent, ['ledger']);
  await agent.start();
  const after = await expectNoticed(agent, 'the cursor of file/ecs knows of', true);
  const documents = await readLines<{ event: { id: string } }>(join(agent.dir, 'siem/ecs.ndjson'));
  const ids = documents.map(({ event }) => event.id);
  expect(new Set(ids).size, 'nothing twice').toBe(ids.length);
  expect(ids).toEqual(expect.arrayContaining(idsOf([...kept, ...lost, ...after])));
});

test('a store that does not answer holds up no start', async () => {
  await using agent = await startAgentProcess({
    exporters: {
      postgresql: { embedded: false, url: 'postgresql://nobody:none@127.0.0.1:9/none' },
    },
  });
  expect((await agent.status()).rollback).toBe(null);
  expect((await recordSome(agent)).length).toBeGreaterThan(0);
  expect(agent.output()).toContain('the store of record does not say how far it is');
});

test('no kill is taken for a rollback: the head file never leads what is on disk', async () => {
  await using elsewhere = await makeTempDir();
  const head_file = join(elsewhere.path, 'head.json');
  await using agent = await startAgentProcess({ exporters: {}, config: { ledger: { head_file } } });
  const client = await startGoodClient(agent, { inFlight: 64 });
  for (let kill = 1; kill <= 3; kill++) {
    const written = await readFile(head_file, 'utf8').catch(() => 'none yet');
    // Killed while the file is kept up to date under load, not before.
    await expect.poll(() => readFile(head_file, 'utf8').catch(() => 'none yet')).not.toBe(written);
    await agent.kill();
    await agent.start();
    expect((await agent.status()).rollback).toBe(null);
  }
  const { acked, failed } = await client.stop();
  expect(failed).toEqual([]);
  expect(incarnationsOf(acked).size).toBe(1);
});

test('a head file that is damaged is said, and holds up nothing', async () => {
  await using elsewhere = await makeTempDir();
  const head_file = join(elsewhere.path, 'head.json');
  await writeFile(head_file, '{"version":1,');
  await using agent = await startAgentProcess({ exporters: {}, config: { ledger: { head_file } } });
  expect(agent.output()).toContain('a rollback may go unnoticed');
  await recordSome(agent);
  await agent.stop();
  expect(JSON.parse(await readFile(head_file, 'utf8'))).toMatchObject({ version: 1 });
});
