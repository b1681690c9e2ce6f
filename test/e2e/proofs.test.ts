/** A proof made beside the running agent, and judged where nothing but the file and a key is. */
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { formatVkey, KEY_TYPE, publicBytesOf } from '../../ledger/signing.ts';
import { createAudit } from '../../sdk/index.ts';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';

interface ProofText {
  record: string;
  inclusion: string[];
  checkpoint: string;
  anchor: { index: string; checkpoint: string; heartbeat: { leaf: string } } | null;
}

async function recordSome(agent: AgentProcess, count: number): Promise<readonly string[]> {
  const audit = createAudit({
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    timeoutMs: 30_000,
  });
  const receipts = await Promise.all(
    Array.from({ length: count }, (_, at) =>
      audit.record({
        action: 'customer.read',
        outcome: 'success',
        actor: { type: 'user', id: 'u-1', name: 'Ada' },
        resource: { type: 'customer', id: `c-${at}`, tenant_id: 'acme' },
      }),
    ),
  );
  await audit.close();
  return receipts.map(({ event_id }) => event_id);
}

test("an event is proven offline, each change to its proof is refuted, and a stranger's key says nothing", async () => {
  await using agent = await startAgentProcess({
    exporters: {},
    config: { checkpoints: { interval_ms: 20, anchor_interval_ms: 1_000 } },
  });
  const [first = '', ...others] = await recordSome(agent, 40);
  const prove = async (id: string): Promise<{ code: number | null; stdout: string }> =>
    runCli(['prove', id, '--data-dir', agent.dir]);
  const proofs = new Map<string, string>();
  for (const id of [first, others.at(-1) ?? '']) {
    await vi.waitFor(
      async () => {
        const { code, stdout } = await prove(id);
        expect(code).toBe(0);
        expect((JSON.parse(stdout) as ProofText).anchor).not.toBeNull();
        proofs.set(id, stdout);
      },
      { timeout: 60_000, interval: 300 },
    );
  }
  const keys = await runCli(['keys', 'list', '--data-dir', agent.dir]);
  expect(await agent.stop()).toBe(0);
  // The same from the files alone, when the agent is gone.
  expect((await prove(first)).code).toBe(0);
  expect((await prove('01J9Z3K5M7Q8R9S0T1V2W3X4Y5')).code).toBe(1);

  await using elsewhere = await makeTempDir();
  const [trust, file] = [join(elsewhere.path, 'keys.txt'), join(elsewhere.path, 'event.proof')];
  const check = async (proof: string, trusted: string) => {
    await writeFile(trust, trusted);
    await writeFile(file, proof);
    return runCli(['check', file, '--trust', trust, '--json']);
  };
  for (const [id, proof] of proofs) {
    const checked = await check(proof, keys.stdout);
    expect(checked.code, checked.stdout).toBe(0);
    expect(JSON.parse(checked.stdout)).toMatchObject({
      verdict: 'proven',
      event: { event_id: id },
      anchor: { time: expect.stringMatching(/^20/) as string },
    });
  }
  expect(await readFile(join(agent.dir, 'keys/signing.key'), 'utf8')).toContain('PRIVATE');

  const good = proofs.get(first) ?? '';
  const changed = (change: (proof: ProofText) => void): string => {
    const proof = JSON.parse(good) as ProofText;
    change(proof);
    return JSON.stringify(proof);
  };
  const [otherProof] = [...proofs.values()].slice(1).map((one) => JSON.parse(one) as ProofText);
  const refuted: Readonly<Record<string, string>> = {
    'another outcome': changed((one) => (one.record = one.record.replace('"success"', '"denied"'))),
    'another event under this proof': changed((one) => (one.record = otherProof?.record ?? '')),
    'a shorter proof': changed((one) => one.inclusion.pop()),
    'a longer proof': changed((one) => one.inclusion.push(one.inclusion[0] ?? '')),
    'another size': changed(
      (one) =>
        (one.checkpoint = one.checkpoint.replace(
          /\n(\d+)\n/,
          (_, size) => `\n${Number(size) + 1}\n`,
        )),
    ),
    'the anchor log for the stream': changed(
      (one) => (one.checkpoint = one.anchor?.checkpoint ?? ''),
    ),
    'another time of the round': changed((one) => {
      if (one.anchor !== null)
        one.anchor.heartbeat.leaf = one.anchor.heartbeat.leaf.replace('20', '19');
    }),
  };
  for (const [what, proof] of Object.entries(refuted))
    expect((await check(proof, keys.stdout)).code, what).toBe(1);

  const key = keys.stdout.trim();
  expect((await check(good, `${key} * 1000000 -\n`)).code, 'a newer key for an older size').toBe(1);
  expect((await check(good, `${key} * 0 1000000 # until it was replaced\n`)).code).toBe(0);
  const stranger = publicBytesOf(generateKeyPairSync('ed25519').privateKey);
  expect((await check(good, formatVkey('sealtrail/test', KEY_TYPE.log, stranger))).code).toBe(2);
  expect((await check(good, '# nobody\n')).code).toBe(2);
  expect((await check('{}', keys.stdout)).code).toBe(2);
}, 180_000);
