/** A damaged ledger under the real agent: a torn end is mended and recorded, anything else is refused. */
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { segmentName } from '../../ledger/segment.ts';
import { runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { startGoodClient } from '../support/good-client.ts';
import { readRecords } from '../support/outcome.ts';

let agent: AgentProcess;
let segment: string;
beforeAll(async () => {
  agent = await startAgentProcess({
    exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
  });
  segment = join(agent.dir, 'ledger', segmentName(0));
});
afterAll(() => agent[Symbol.asyncDispose]());

async function recordSome(): Promise<void> {
  const client = await startGoodClient(agent);
  await client.reached(20);
  expect((await client.stop()).failed).toEqual([]);
}

test('a record that was being written when the power went: the agent starts, keeps its beginning, and records that', async () => {
  await recordSome();
  await agent.kill();
  const whole = await readFile(segment);
  // Nobody was told of it, and no checkpoint holds it: a file that is cut below what it held is a rollback.
  const torn = whole.subarray(whole.lastIndexOf('\n', whole.length - 2) + 1).subarray(0, 100);
  await appendFile(segment, torn);
  await agent.start();
  await recordSome();
  const records = await readRecords(join(agent.dir, 'ledger'));
  const recovered = records.filter(({ event }) => event.event.action === 'ledger.recovered');
  expect(recovered.map(({ event }) => event.metadata)).toMatchObject([
    { byte: whole.length, bytes: 100, kept_in: expect.any(String), sha256: expect.any(String) },
  ]);
  const keptIn = String(recovered[0]?.event.metadata['kept_in']);
  expect((await readFile(join(agent.dir, 'ledger', keptIn))).equals(torn)).toBe(true);
  expect((await runCli(['verify', agent.dir])).code).toBe(0);
});

test('one changed byte in the middle: the agent does not start, names segment, line and byte, and touches nothing', async () => {
  await recordSome();
  await agent.kill();
  const intact = await readFile(segment);
  const lines = intact.toString('utf8').split('\n');
  const start = Buffer.byteLength(lines.slice(0, 5).join('\n')) + 1;
  const damaged = Buffer.from(intact);
  damaged[start + 200]! ^= 1;
  await writeFile(segment, damaged);
  const before = await readdir(join(agent.dir, 'ledger'));

  const ran = await runCli(['agent', '--config', agent.configFile]);
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(`corrupt at ${segmentName(0)}, line 6 (byte ${start})`);
  expect(ran.stderr).toMatch(/Nothing was changed.*sealtrail verify/s);
  expect((await readFile(segment)).equals(damaged)).toBe(true);
  expect(await readdir(join(agent.dir, 'ledger'))).toEqual(before);
  const verified = await runCli(['verify', agent.dir]);
  expect(verified.code).toBe(1);
  expect(verified.stdout).toContain(`${segmentName(0)}:6`);

  await writeFile(segment, intact);
  await agent.start();
  await recordSome();
  expect((await runCli(['verify', agent.dir])).code).toBe(0);
});
