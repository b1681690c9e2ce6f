/** The real agent with anchors: what they vouch for, and what they notice when its data is put back. */
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startWitness, type RunningWitness } from '../../agent/witness.ts';
import { judgeProof } from '../../cli/check.ts';
import { listKeys } from '../../cli/keys-list.ts';
import { runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { recordOneEvent } from '../support/record-one-event.ts';
import { silentLog } from '../support/append-stage.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';
import { createTestLog } from '../support/witness.ts';

let outside: Awaited<ReturnType<typeof makeTempDir>>;
const witnesses: RunningWitness[] = [];
const FAST = { interval_ms: 20, anchor_interval_ms: 1_000 };
const WAIT = { timeout: 60_000, interval: 100 };

async function startOne(name: string): Promise<RunningWitness> {
  const started = await startWitness({
    dataDir: join(outside.path, name),
    listen: '127.0.0.1:0',
    trustFile: join(outside.path, 'keys.txt'),
    name,
    log: silentLog,
  });
  if (!started.ok) throw new Error(started.error);
  return started.value;
}

beforeAll(async () => {
  outside = await makeTempDir();
  // A key that is nobody's: the agents' come in as they start.
  await writeFile(join(outside.path, 'keys.txt'), createTestLog().vkey);
  witnesses.push(await startOne('w1'), await startOne('w2'));
});
afterAll(async () => {
  for (const witness of witnesses) await witness.stop();
  await outside[Symbol.asyncDispose]();
});

const anchorsOf = (file: string): object => ({
  quorum: 2,
  start_timeout_ms: 10_000,
  retry: { initial_ms: 100, max_ms: 500 },
  witness: [
    ...witnesses.map(({ url, vkey }, at) => ({ name: `w${at + 1}`, url, vkey })),
    // Nobody listens there.
    { name: 'dead', url: 'http://127.0.0.1:9', vkey: DEAD },
  ],
  file: [{ name: 'mount', path: file }],
});
const DEAD = 'dead+70c262a8+BFvzYbwX+fp6U+93H8x3PbwuahYNKacDlroNbVeRQKQp';

/** Lets the witnesses know the agent's key, and waits until a quorum has something newer than before. */
async function anchored(agent: AgentProcess): Promise<void> {
  const { keys } = await listKeys(agent.dir);
  await writeFile(join(outside.path, 'keys.txt'), keys.map(({ vkey }) => `${vkey}\n`).join(''));
  const before = (await agent.status()).checkpoints?.anchors?.quorum_size ?? 0;
  await vi.waitFor(async () => {
    const { checkpoints } = await agent.status();
    expect(checkpoints?.anchors?.quorum_size, agent.output().slice(-800)).toBeGreaterThan(
      before + 1,
    );
  }, WAIT);
}

/** The one in force, once the checkpoint thread has come up. */
async function incarnationOf(agent: AgentProcess): Promise<string> {
  let origin = '';
  await vi.waitFor(async () => {
    origin = (await agent.status()).checkpoints?.anchor_origin ?? '';
    expect(origin).not.toBe('');
  }, WAIT);
  return origin.split('/')[2] ?? '';
}

/** Reasons of the genesis records of an agent's own stream, in order. */
async function reasonsOf(dir: string): Promise<readonly unknown[]> {
  return (await readRecords(join(dir, 'ledger')))
    .filter(
      ({ event }) =>
        event.event.action === 'ledger.genesis' && event.resource.tenant_id === 'sealtrail',
    )
    .map(({ event }) => event.metadata['reason']);
}

test('a proof says by when and by whom it was anchored, one dead anchor aside; a policy that is not met cannot tell', async () => {
  await using agent = await startAgentProcess({
    exporters: {},
    // Both witnesses and the file: with fewer, the quorum might be one witness and the file.
    config: {
      checkpoints: FAST,
      anchors: { ...anchorsOf(join(outside.path, 'proven.ndjson')), quorum: 3 },
    },
  });
  const id = await recordOneEvent(agent);
  await anchored(agent);
  await anchored(agent);
  const { checkpoints } = await agent.status();
  expect(checkpoints?.anchors?.members.find(({ name }) => name === 'witness/dead')).toMatchObject({
    state: 'failing',
    size: 0,
  });
  const metrics = await (await fetch(`${agent.adminUrl}/metrics`)).text();
  expect(metrics).toMatch(/^audit_anchor_quorum_timestamp_seconds 1\d{9}/m);
  expect(metrics).toMatch(/^audit_anchor_failures_total\{anchor="witness\/dead"\} [1-9]/m);
  const { stdout: status } = await runCli(['status', '--data-dir', agent.dir]);
  expect(status).toMatch(/^anchors +quorum of 3 of 4 .*witness\/dead/m);

  const file = join(outside.path, 'event.proof');
  const proved = await runCli(['prove', id, '--data-dir', agent.dir]);
  expect(proved.code, proved.stderr).toBe(0);
  const keys = join(outside.path, 'keys.txt');
  const policy = join(outside.path, 'policy.txt');
  const check = async (proof: string, rule: string) => {
    await writeFile(file, proof);
    const lines = witnesses.map(({ vkey }, at) => `witness w${at + 1} ${vkey}\n`).join('');
    await writeFile(policy, `${lines}witness dead ${DEAD}\n${rule}\n`);
    return (await judgeProof(file, { trust: keys, policy })).verdict;
  };
  expect(await check(proved.stdout, 'quorum 2')).toBe('proven');
  const good = await runCli(['check', file, '--trust', keys, '--policy', policy]);
  expect(good.code, good.stdout).toBe(0);
  expect(good.stdout).toMatch(/^verified to size \d+, anchored at 20\S+ by (w1, w2|w2, w1)$/m);
  expect(good.stdout).toContain('proven.ndjson: compare it');
  // The whole ledger, under the same policy.
  const verify = () => runCli(['verify', agent.dir, '--trust', keys, '--policy', policy]);
  const verified = await verify();
  expect(verified.code, verified.stdout).toBe(0);
  expect(verified.stdout).toMatch(
    /verified to size \d+, anchored at 20\S+ by (w1, w2|w2, w1) up to size \d+$/m,
  );
  expect(await check(proved.stdout, 'quorum 3')).toBe('cannot_tell');
  const unmet = await verify();
  expect(unmet.code, unmet.stdout).toBe(2);
  expect(await check(proved.stdout, 'group both all w1 w2\nquorum both')).toBe('proven');
  expect(await check(proved.stdout, 'quorum dead')).toBe('cannot_tell');

  interface ProofText {
    anchor: { evidence: { kind: string; line?: string }[] };
  }
  const changed = (change: (proof: ProofText) => void): string => {
    const proof = JSON.parse(proved.stdout) as ProofText;
    change(proof);
    return JSON.stringify(proof);
  };
  const without = changed(({ anchor }) => {
    const first = anchor.evidence.findIndex(({ kind }) => kind === 'cosignature');
    anchor.evidence.splice(first, 1);
  });
  expect(await check(without, 'quorum 2'), 'one is missing').toBe('cannot_tell');
  const twice = changed(({ anchor }) => {
    const [one] = anchor.evidence.filter(({ kind }) => kind === 'cosignature');
    if (one !== undefined) anchor.evidence = [one, one];
  });
  expect(await check(twice, 'quorum 2'), 'a witness counts once').toBe('cannot_tell');
  const forged = changed(({ anchor }) => {
    for (const one of anchor.evidence)
      if (one.line !== undefined) one.line = one.line.replace(/(.{8})\n$/, 'AAAAAA==\n');
  });
  expect(await check(forged, 'quorum 1'), 'a signature that is wrong').toBe('refuted');
  expect(await agent.stop()).toBe(0);
});

test('a data directory that is put back to an older copy is noticed by its anchors, and goes on as another log', async () => {
  const path = join(outside.path, 'rolled-back.ndjson');
  await using agent = await startAgentProcess({
    exporters: {},
    config: { checkpoints: FAST, anchors: anchorsOf(path) },
  });
  await recordOneEvent(agent);
  await anchored(agent);
  await agent.stop();
  await using copy = await makeTempDir();
  await cp(agent.dir, copy.path, { recursive: true });
  // Untouched, it goes on.
  await agent.start();
  const first = await incarnationOf(agent);
  await recordOneEvent(agent);
  await anchored(agent);
  expect((await agent.status()).rollback).toBeNull();
  await agent.stop();
  for (const part of ['ledger', 'checkpoints']) {
    await rm(join(agent.dir, part), { recursive: true });
    await cp(join(copy.path, part), join(agent.dir, part), { recursive: true });
  }
  await agent.start();
  const { rollback } = await agent.status();
  expect(rollback).toMatch(
    /^rollback: (witness\/w1|witness\/w2|file\/mount): it holds size \d+ of sealtrail\/test\//,
  );
  expect(rollback).toContain(first);
  expect(await incarnationOf(agent)).not.toBe(first);
  await recordOneEvent(agent);
  await anchored(agent);
  expect((await reasonsOf(agent.dir)).at(-1)).toBe(rollback);
  await agent.stop();

  // What was signed is taken away, the ledger left: anchors know more than nothing.
  const second = await incarnationOf(await agent.start().then(() => agent));
  await agent.stop();
  await rm(join(agent.dir, 'checkpoints'), { recursive: true });
  await agent.start();
  expect((await agent.status()).rollback).toContain(second);
  expect(await readFile(path, 'utf8')).toContain(second);
  await agent.stop();
});

test('after an unclean stop with no anchor in reach a new incarnation begins; after a clean one it goes on', async () => {
  const lonely = await startOne('w3');
  const anchors = {
    quorum: 1,
    start_timeout_ms: 10_000,
    retry: { initial_ms: 100, max_ms: 500 },
    witness: [{ name: 'w3', url: lonely.url, vkey: lonely.vkey }],
  };
  await using agent = await startAgentProcess({
    exporters: {},
    config: { checkpoints: FAST, anchors },
  });
  await anchored(agent);
  const first = await incarnationOf(agent);
  await agent.kill();
  await agent.start();
  expect(await incarnationOf(agent), 'killed, and the witness says that nothing is missing').toBe(
    first,
  );
  await lonely.stop();
  await agent.stop();
  await agent.start();
  expect(await incarnationOf(agent), 'stopped, and nobody answers').toBe(first);
  // Ingest and signing go on while no anchor answers.
  await recordOneEvent(agent);
  const signed = (await agent.status()).checkpoints?.anchor_size ?? 0;
  await vi.waitFor(async () => {
    expect((await agent.status()).checkpoints?.anchor_size).toBeGreaterThan(signed);
  }, WAIT);
  await agent.kill();
  await agent.start();
  expect(await incarnationOf(agent), 'killed, and nobody answers').not.toBe(first);
  expect((await reasonsOf(agent.dir)).at(-1)).toMatch(
    new RegExp(`^unconfirmed: after an unclean stop no anchor said .*${first}`),
  );
  expect((await agent.status()).rollback).toBeNull();
  await agent.stop();
});

test('of two that live on one copy the witness stops the second, while it runs', async () => {
  const anchors = anchorsOf(join(outside.path, 'cloned.ndjson'));
  const config = { checkpoints: FAST, anchors };
  await using agent = await startAgentProcess({ exporters: {}, config });
  await recordOneEvent(agent);
  await anchored(agent);
  await agent.stop();
  await using place = await makeTempDir();
  await cp(agent.dir, place.path, { recursive: true });
  // Both start from the same end, so neither start sees anything.
  await agent.start();
  await using clone = await startAgentProcess({ exporters: {}, config, dir: join(place.path) });
  await vi.waitFor(async () => {
    const doubts = [(await agent.status()).rollback, (await clone.status()).rollback];
    expect(doubts.filter((doubt) => doubt !== null).length).toBeGreaterThan(0);
  }, WAIT);
  const [loser, other] = (await clone.status()).rollback === null ? [agent, clone] : [clone, agent];
  expect((await loser.status()).rollback).toMatch(
    /^(rollback|fork): .*it holds size \d+ of sealtrail\/test\//,
  );
  expect(loser.output()).toContain('the ledger is older than what has left it, or lives twice');
  await recordOneEvent(loser);
  await recordOneEvent(other);
});
