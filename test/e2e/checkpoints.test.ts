/** The real agent, killed again and again: what it signs before and after never contradicts itself. */
import { createPrivateKey } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyCheckpoint } from '../../ledger/checkpoint.ts';
import { hashLeaf, isSameHash, type TreeHash } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { formatVkey, KEY_TYPE, parseVkey, publicBytesOf } from '../../ledger/signing.ts';
import { startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { journalOf, leavesOf } from '../support/checkpoints.ts';
import { eventually } from '../support/eventually.ts';
import { startGoodClient } from '../support/good-client.ts';

const KILLS = 4;

/** Leaves of every log, those of the anchor log included. */
async function allLeaves(agent: AgentProcess): Promise<Map<string, readonly TreeHash[]>> {
  const leaves = new Map(await leavesOf(agent.dir));
  const folder = join(agent.dir, 'checkpoints/anchor');
  for (const name of (await readdir(folder)).filter((one) => one.endsWith('.ndjson'))) {
    const lines = (await readFile(join(folder, name), 'utf8')).split('\n').slice(0, -1);
    const own = lines.map((line) =>
      hashLeaf(Buffer.from((JSON.parse(line) as { leaf: string }).leaf)),
    );
    leaves.set(`sealtrail/test/${name.replace('.ndjson', '')}`, own);
  }
  return leaves;
}

test('after kill -9 at any moment no size has a second root, and at the end all is signed and anchored', async () => {
  await using agent = await startAgentProcess({
    exporters: {},
    config: { checkpoints: { interval_ms: 20, records_max: 16, anchor_interval_ms: 1_000 } },
  });
  const seen: Awaited<ReturnType<typeof journalOf>>[number][] = [];
  const client = await startGoodClient(agent, { inFlight: 4 });
  for (let kill = 0; kill < KILLS; kill += 1) {
    const signed = (await journalOf(agent.dir)).length;
    await eventually(
      async () => expect((await journalOf(agent.dir)).length).toBeGreaterThan(signed + 3 + kill),
      5,
    );
    await agent.kill();
    seen.push(...(await journalOf(agent.dir)));
    await agent.start();
  }
  await client.reached(KILLS);
  await client.stop();
  await eventually(async () =>
    expect((await agent.status()).checkpoints).toMatchObject({ state: 'running' }),
  );
  // What a stop has no time for, on a machine that stands still, the next start signs.
  let last: typeof seen = [];
  await eventually(async () => {
    if (agent.pid() === 0) await agent.start();
    expect(await agent.stop()).toBe(0);
    last = [...(await journalOf(agent.dir))];
    for (const [origin, own] of await allLeaves(agent))
      expect(Number(last.findLast((one) => one.origin === origin)?.size), origin).toBe(own.length);
  });
  seen.push(...last);

  const pem = await readFile(join(agent.dir, 'keys/signing.key'), 'utf8');
  const vkey = formatVkey('sealtrail/test', KEY_TYPE.log, publicBytesOf(createPrivateKey(pem)));
  const key = parseVkey(vkey);
  if (!key.ok) throw new Error(key.error);
  const leaves = await allLeaves(agent);
  const roots = new Map(
    [...leaves].map(([origin, own]) => {
      const range = createRange();
      return [
        origin,
        own.map((leaf) => {
          range.append(leaf);
          return range.root();
        }),
      ];
    }),
  );
  expect(seen.length).toBeGreaterThan(KILLS * 3);
  for (const { note, origin, size, root } of seen) {
    expect(verifyCheckpoint(note, { origin, logKeys: [key.value] }).ok).toBe(true);
    const right = roots.get(origin)?.[Number(size) - 1];
    expect(right !== undefined && isSameHash(root, right), `${origin} ${size}`).toBe(true);
  }
});
