/** Task 14: signatures. One agent signs; all that judges it has its public key and files. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { parseNote } from '../../ledger/note.ts';
import type { PrintedReport } from '../../agent/key-routes.ts';
import { createAudit, type Audit } from '../../sdk/index.ts';
import { formatCheckpoint, parseCheckpoint } from '../../ledger/checkpoint.ts';
import { parseTrust, verifyTrusted, type Trust } from '../../ledger/trust.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';
import { naiveRoot } from '../support/naive-tree.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { copyLedger, formatLine, hashOf, parseLine, readLines, rewriteChain } from './tampering.ts';
import { draft } from './trail.ts';

const EVENTS = 40;
const MIDDLE = 20;

interface ProofText {
  record: string;
  inclusion: string[];
  checkpoint: string;
  anchor: unknown;
}

let agent: AgentProcess;
let audit: Audit;
let vault: Awaited<ReturnType<typeof makeTempDir>>;
let trust: Trust;
/** Of the event in the middle, made before anything else happens. */
let proof: ProofText;

beforeAll(async () => {
  agent = await startAgentProcess({
    exporters: {},
    config: { checkpoints: { interval_ms: 20, anchor_interval_ms: 1_000 } },
  });
  vault = await makeTempDir();
  audit = createAudit({
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    tenant: 'acme',
    timeoutMs: 30_000,
  });
  const ids: string[] = [];
  for (let n = 0; n < EVENTS; n++)
    ids.push((await audit.record(draft({ metadata: { amount: 100 + n } }))).event_id);
  proof = await prove(ids[MIDDLE] ?? '');
  const keys = await cli('keys', 'list', '--data-dir', agent.dir);
  await writeFile(at('keys.txt'), keys);
  const parsed = parseTrust(keys);
  if (!parsed.ok) throw new Error(parsed.error);
  trust = parsed.value;
});
afterAll(async () => {
  await audit.close();
  await agent[Symbol.asyncDispose]();
  await vault[Symbol.asyncDispose]();
});

const at = (name: string): string => join(vault.path, name);

async function cli(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args);
  expect(code, `${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

async function prove(id: string): Promise<ProofText> {
  return vi.waitFor(
    async () => {
      const made = JSON.parse(await cli('prove', id, '--data-dir', agent.dir)) as ProofText;
      expect(made.anchor).not.toBeNull();
      return made;
    },
    { timeout: 60_000, interval: 200 },
  );
}

/** Exit code of `sealtrail check`. */
async function check(one: ProofText, ...trusted: readonly string[]): Promise<number | null> {
  await writeFile(at('event.proof'), JSON.stringify(one));
  return (await runCli(['check', at('event.proof'), ...trusted])).code;
}

const KEYS = (): readonly string[] => ['--trust', at('keys.txt')];
const placeOf = (one: ProofText): { readonly stream: string; readonly seq: number } =>
  parseLine(one.record);

describeTask(14, (criterion) => {
  criterion('a signed checkpoint verifies with the public key', (say) => {
    const { stream } = placeOf(proof);
    const verified = verifyTrusted(proof.checkpoint, stream, trust);
    expect(verified).toMatchObject({ ok: true, value: { origin: stream } });
    const changed = proof.checkpoint.replace(
      /\n(\d+)\n/,
      (_, size: string) => `\n${Number(size) + 1}\n`,
    );
    expect(verifyTrusted(changed, stream, trust).ok).toBe(false);
    expect(verifyTrusted(proof.checkpoint, `${stream}x`, trust).ok).toBe(false);
    if (verified.ok) say(`size ${verified.value.size}, Ed25519`);
  });

  criterion('changing an event and rehashing the chain fails the signature', async () => {
    const { stream, seq } = placeOf(proof);
    const note = parseNote(proof.checkpoint);
    const signed = note.ok ? parseCheckpoint(note.value.text) : null;
    if (signed === null) throw new Error('no checkpoint');
    const change = (text: string): string => text.replace(/"amount":\d+/, '"amount":999');
    const lines = await readLines(join(agent.dir, 'ledger'));
    const forged = rewriteChain(lines, { stream, seq }, change);
    // The chain itself is whole again: hashing needs no key.
    await using copy = await copyLedger(join(agent.dir, 'ledger'), () => forged);
    expect((await runCli(['verify', copy.path])).code).toBe(0);
    const rootOf = (from: readonly string[]): Uint8Array => {
      const ours = from.map(parseLine).filter((line) => line.stream === stream);
      const leaves = ours.map(({ this_hash }) => hashRecordLeaf(this_hash as ChainHash));
      return naiveRoot(leaves.slice(0, Number(signed.size)));
    };
    expect(Buffer.from(rootOf(lines)).equals(signed.root)).toBe(true);
    const root = rootOf(forged);
    expect(Buffer.from(root).equals(signed.root)).toBe(false);
    // A checkpoint over the forged tree would take the private key.
    const text = formatCheckpoint({ ...signed, root });
    const claimed = proof.checkpoint.replace(formatCheckpoint(signed), text);
    expect(verifyTrusted(claimed, stream, trust)).toMatchObject({
      error: { kind: 'bad_signature' },
    });
    // The same by the program: the record with its hash made right again.
    const { eventText, prev_hash, ...line } = parseLine(proof.record);
    const other = change(eventText);
    const this_hash = hashOf(prev_hash, other);
    const record = formatLine({ ...line, eventText: other, prev_hash, this_hash });
    expect(await check(proof, ...KEYS())).toBe(0);
    expect(await check({ ...proof, record }, ...KEYS())).toBe(1);
    expect(await check({ ...proof, record, checkpoint: claimed }, ...KEYS())).toBe(1);
  });

  criterion('it is said what non-repudiation is and why the writer cannot deny', () => {
    expectDefence('docs/PROOFS.md', 'Non-repudiation', {
      says: [/cannot (later )?deny/, /private key/, /public key/, /stolen/, /witness|time-stamp/],
      names: ['ledger/signing.ts', 'agent/key-ring.ts'],
    });
  });

  criterion('it is said what chaining without signing does not cover', () => {
    expectDefence('docs/PROOFS.md', 'What a chain without signatures does not cover', {
      says: [/rewrite|whole chain/, /head/, /truncat|cut/, /anchor/],
      names: ['ledger/stream-check.ts', 'agent/checkpoint/signed-tree.ts'],
    });
  });

  criterion('events signed before a key rotation still verify after it', async (say) => {
    const root = await cli('keys', 'init', '--root', at('root.key'));
    await writeFile(at('root.pub'), root);
    const signing = [
      '--root-key',
      at('root.key'),
      '--note',
      at('keys.note'),
      '--first',
      '-c',
      agent.configFile,
    ];
    const out = await cli('keys', 'rotate', '--json', ...signing);
    const { current, windows } = JSON.parse(out) as PrintedReport;
    const { event_id } = await audit.record(draft());
    const after = await prove(event_id);
    const trusted = ['--trust', at('keys.note'), '--root', at('root.pub')];
    expect(await check(proof, ...trusted)).toBe(0);
    expect(await check(after, ...trusted)).toBe(0);
    // Each signature names its key: its id stands before the signature's bytes.
    const idsOf = ({ checkpoint }: ProofText): readonly string[] => {
      const note = parseNote(checkpoint);
      return note.ok ? note.value.signatures.map(({ id }) => id) : [];
    };
    const newer = current.split('+')[1];
    expect(idsOf(proof)).not.toContain(newer);
    expect(idsOf(after)).toContain(newer);
    // The key that signed the older one may not sign on, and the newer one not that.
    const { stream } = placeOf(proof);
    const ends = windows
      .filter(({ origin }) => origin === stream)
      .map(({ from, to }) => [from, to]);
    expect(ends).toEqual([
      ['0', expect.any(String)],
      [ends[0]?.[1], null],
    ]);
    expect(await check({ ...proof, checkpoint: after.checkpoint }, ...trusted)).toBe(1);
    say(`the new key signs from size ${ends[1]?.[0]} on`);
  });

  criterion("a Merkle root is signed, and one event's inclusion proven", async (say) => {
    expect(await check(proof, ...KEYS())).toBe(0);
    const note = parseNote(proof.checkpoint);
    const size = Number((note.ok ? parseCheckpoint(note.value.text) : null)?.size ?? 0);
    expect(size).toBeGreaterThan(MIDDLE);
    expect(proof.inclusion.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
    const inclusion = proof.inclusion.slice(1);
    expect(await check({ ...proof, inclusion }, ...KEYS())).toBe(1);
    say(`${proof.inclusion.length} hashes for ${size} records`);
  });
});
