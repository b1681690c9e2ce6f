/** docs/FORMAT.md is enough to write a verifier from: test/verify.py, which shares nothing with this project. */
import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { canonicalize } from '../../schemas/canonical.ts';
import { runCli } from '../support/agent-process.ts';
import { TEST_SIGNER } from '../support/checkpoints.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { createSigner, linesOf, resealed, writeLines, writeTrail } from '../attacks/trail.ts';

const SCRIPT = join(import.meta.dirname, '..', 'verify.py');
let dir = '';
let lines: string[] = [];
let proof = '';

beforeAll(async () => {
  const temp = await makeMemoryDir();
  dir = temp.path;
  await writeTrail(dir);
  lines = await linesOf(dir);
  const { event } = JSON.parse(lines[12] ?? '') as { event: { event_id: string } };
  const proved = await runCli(['prove', event.event_id, '--data-dir', dir]);
  expect(proved.code, proved.stderr).toBe(0);
  proof = proved.stdout;
  return async () => temp[Symbol.asyncDispose]();
});

interface Given {
  readonly lines?: readonly string[];
  readonly proof?: string;
  readonly keys?: string;
}

async function verify(given: Given = {}): Promise<{ code: number | null; stdout: string }> {
  await writeLines(dir, given.lines ?? lines);
  const [proofPath, keysPath] = [join(dir, 'event.proof'), join(dir, 'keys.txt')];
  await writeFile(proofPath, given.proof ?? proof);
  await writeFile(keysPath, `${given.keys ?? TEST_SIGNER.vkey}\n`);
  const args = [SCRIPT, join(dir, 'ledger'), proofPath, keysPath];
  const { status, stdout, stderr } = spawnSync('python3', args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  return { code: status, stdout };
}

/** The proof with something in it changed. */
const changed = (
  change: (value: {
    checkpoint: string;
    inclusion: string[];
    anchor: { inclusion: string[] };
  }) => void,
): string => {
  const value = JSON.parse(proof) as Parameters<typeof change>[0];
  change(value);
  return JSON.stringify(value);
};

test('it proves chain, root, signature and inclusion of what the program wrote', async () => {
  const { code, stdout } = await verify();
  expect(stdout).toMatch(/^chain: .* is whole up to seq 24$/m);
  expect(stdout).toMatch(/^proven: .* is seq 12 of /m);
  expect(stdout).toMatch(/^anchored: in sealtrail\/test\/f{32} /m);
  expect(code).toBe(0);
});

describe('it refuses', () => {
  const raise = (text: string, index: number): string =>
    index === 5 ? text.replace('"amount":4', '"amount":9') : text;
  test.each<[string, () => Given, number]>([
    [
      'a changed byte',
      () => ({ lines: lines.with(5, (lines[5] ?? '').replace('"amount":4', '"amount":9')) }),
      1,
    ],
    ['a record that is missing', () => ({ lines: lines.toSpliced(5, 1) }), 1],
    [
      'two records in each other’s place',
      () => ({ lines: lines.with(5, lines[6] ?? '').with(6, lines[5] ?? '') }),
      1,
    ],
    ['a history that was sealed again', () => ({ lines: resealed(lines, raise) }), 1],
    ['an end that was cut off', () => ({ lines: lines.slice(0, 10) }), 1],
    [
      'bytes that are not canonical',
      () => ({
        lines: resealed(lines, (text, index) =>
          index === 5 ? text.replace('"amount":4', '"amount":4.0') : text,
        ),
      }),
      1,
    ],
    [
      'a member twice',
      () => ({
        lines: resealed(lines, (text, index) =>
          index === 5 ? text.replace('"amount":4', '"amount":4,"amount":4') : text,
        ),
      }),
      1,
    ],
    [
      'a signature that was changed',
      () => ({
        proof: changed(
          (value) =>
            (value.checkpoint = value.checkpoint.replace(
              /.{8}=*\n$/,
              (end) => `${end.startsWith('AAAA') ? 'BBBB' : 'AAAA'}${end.slice(4)}`,
            )),
        ),
      }),
      1,
    ],
    [
      'an inclusion proof of another record',
      () => ({ proof: changed((value) => value.inclusion.reverse()) }),
      1,
    ],
    [
      'an anchor log that does not hold the checkpoint',
      () => ({ proof: changed((value) => value.anchor.inclusion.reverse()) }),
      1,
    ],
    ['a key that is not known', () => ({ keys: createSigner().vkey }), 2],
    ['a key outside its window', () => ({ keys: `${TEST_SIGNER.vkey} * 0 3` }), 2],
    ['what is no proof', () => ({ proof: '{}' }), 2],
  ])('%s', async (_, given, code) => {
    const said = await verify(given());
    expect([said.stdout, said.code]).toEqual([said.stdout, code]);
  });
});

test('it writes every number and text as RFC 8785 does', async () => {
  const numbers = [
    0, -0, 1, -1, 1.5, 1e21, 1e20, 123456789012345680000, 1e-6, 1e-7, 5e-324,
    1.7976931348623157e308, 0.1, -2.5e-10, 9007199254740991, 333333333.3333333,
  ];
  const value = {
    numbers,
    text: 'é€😀\u2028"\\/\b\f\n\r\t\u0001\u007f',
    '\ufb33': 1,
    '\u{1f600}': 2,
    a: null,
    b: [true, false],
  };
  const code = `import sys,json;sys.path.insert(0,sys.argv[1]);from verify import canonical;print(canonical(json.load(sys.stdin)),end="")`;
  const args = ['-c', code, join(SCRIPT, '..')];
  const { stdout, stderr } = spawnSync('python3', args, {
    input: JSON.stringify(value),
    encoding: 'utf8',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' },
  });
  expect(stderr).toBe('');
  expect(stdout).toBe(canonicalize(value));
});

test('no file is left out of what it reads', async () => {
  expect(
    (await readdir(join(dir, 'ledger'))).filter((name) => name.endsWith('.ndjson')),
  ).toHaveLength(1);
  expect(await readFile(SCRIPT, 'utf8')).not.toMatch(
    /^(?:import|from) (?!base64|hashlib|hmac|json|os|re|subprocess|sys|tempfile)/m,
  );
});
