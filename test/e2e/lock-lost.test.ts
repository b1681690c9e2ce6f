/** An agent whose data directory is taken away from it stops writing, says why, and ends. */
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyLedger } from '../../ledger/verify.ts';
import { startAgentProcess } from '../support/agent-process.ts';

test('a lost lock ends the agent with 1, and from then on it writes nothing to the ledger', async () => {
  await using agent = await startAgentProcess({
    isAlone: true,
    exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
  });
  const ledger = join(agent.dir, 'ledger');
  const read = async (): Promise<string> => {
    const names = (await readdir(ledger)).filter((name) => name.endsWith('.ndjson')).sort();
    return (await Promise.all(names.map((name) => readFile(join(ledger, name), 'utf8')))).join('');
  };
  const before = await read();
  expect(before).toContain('agent.started');
  // Another host took the lock over, as on a shared volume.
  const lock = join(agent.dir, 'agent.lock');
  await rm(lock, { recursive: true });
  await mkdir(lock);
  // An owner is known by its lock's time: not the agent's by chance.
  const later = new Date(Date.now() + 60_000);
  await utimes(lock, later, later);
  await writeFile(join(agent.dir, 'agent.owner.json'), '{}');
  expect(await agent.ended()).toBe(1);
  expect(agent.output()).toMatch(/the lock of .* was lost/);
  expect(await read(), 'not even that it stops').toBe(before);
  expect((await verifyLedger(ledger)).verdict).toBe('intact');
  expect(await readFile(join(agent.dir, 'agent.owner.json'), 'utf8')).toBe('{}');
  await rm(lock, { recursive: true });
});
