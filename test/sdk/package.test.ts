/**
 * The package as a stranger gets it: packed by npm from the workspace, installed alone in an empty
 * folder, used from there by programs of its own against an agent's socket.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAgentPeer } from '../support/agent-peer.ts';
import { TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const BYTES_MAX = 2 * 1024 * 1024;

let dir = '';
let app = '';
let sdk = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sealtrail-package-'));
  app = join(dir, 'app');
  sdk = join(app, 'node_modules/@sealtrail/sdk');
  await mkdir(app);
  // Else npm looks for a project in the folders above.
  await writeFile(join(app, 'package.json'), '{"private":true}');
  await run('npm', ['pack', '--workspace', 'sdk', '--pack-destination', dir], { cwd: ROOT });
  const tarball = readdirSync(dir).find((name) => name.endsWith('.tgz')) ?? '';
  const options = ['--no-audit', '--no-fund', '--prefer-offline'];
  await run('npm', ['install', ...options, join(dir, tarball)], { cwd: app });
});

afterAll(() => rm(dir, { recursive: true, force: true }));

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The file and all that it imports, by code or by types. */
function reach(path: string, seen: Set<string>): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  const types = path.replace(/\.js$/, '.d.ts');
  for (const one of [path, types]) {
    for (const [, name] of readFileSync(one, 'utf8').matchAll(
      /(?:from|import\()\s*["'](\.[^"']+)/g,
    )) {
      reach(join(dirname(path), name ?? ''), seen);
    }
  }
  return seen;
}

it('holds the compiled SDK with its types, and nothing that it does not import', () => {
  const reached = new Set<string>();
  for (const door of ['index', 'fastify', 'express', 'outbox', 'subjects'])
    reach(join(sdk, `dist/sdk/${door}.js`), reached);
  const wanted = [...reached].flatMap((path) => [path, path.replace(/\.js$/, '.d.ts')]);
  const found = filesBelow(join(sdk, 'dist'));
  expect(found.map((path) => relative(sdk, path)).sort()).toEqual(
    wanted.map((path) => relative(sdk, path)).sort(),
  );
  expect(readdirSync(sdk).sort()).toEqual(['README.md', 'dist', 'package.json']);
});

it('is few packages and less than 2 MB, installed', () => {
  const lock = JSON.parse(readFileSync(join(app, 'node_modules/.package-lock.json'), 'utf8')) as {
    packages: Record<string, unknown>;
  };
  expect(Object.keys(lock.packages).sort()).toEqual([
    'node_modules/@opentelemetry/api',
    'node_modules/@opentelemetry/api-logs',
    'node_modules/@sealtrail/sdk',
    'node_modules/graceful-fs',
    'node_modules/proper-lockfile',
    'node_modules/retry',
    'node_modules/signal-exit',
    'node_modules/ulid',
  ]);
  const bytes = filesBelow(join(app, 'node_modules')).reduce(
    (sum, path) => sum + statSync(path).size,
    0,
  );
  expect(bytes).toBeLessThan(BYTES_MAX);
});

it('has types that hold in a strict program, for all the examples of its README as well', async () => {
  const readme = readFileSync(join(sdk, 'README.md'), 'utf8');
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
  expect(examples.length).toBeGreaterThan(3);
  const wrong = `import { createAudit } from '@sealtrail/sdk';
    const audit = createAudit({ service: 'shop', vocabulary: {} });
    const resource = { type: 'customer', id: 'c-1' };
    // @ts-expect-error an outcome is one of three words
    void audit.record({ action: 'a.b', outcome: 'maybe', resource });
    // @ts-expect-error a draft has an outcome
    void audit.record({ action: 'a.b', resource });`;
  const source = join(dir, 'types');
  await mkdir(join(source, 'node_modules'), { recursive: true });
  await writeFile(join(source, 'package.json'), '{"type":"module"}');
  await symlink(join(app, 'node_modules/@sealtrail'), join(source, 'node_modules/@sealtrail'));
  for (const name of ['@types', 'fastify', 'express']) {
    await symlink(join(ROOT, 'node_modules', name), join(source, 'node_modules', name));
  }
  const files = [...examples, wrong].map((text, index) => ({ name: `example-${index}.ts`, text }));
  for (const { name, text } of files) await writeFile(join(source, name), text);
  const options = ['--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--noEmit'];
  const libraries = ['--target', 'es2022', '--lib', 'es2022,esnext.disposable', '--types', 'node'];
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const args = [tsc, ...options, ...libraries, ...files.map(({ name }) => name)];
  const checked = await run(process.execPath, args, { cwd: source }).catch(
    (failed: { stdout: string }) => failed,
  );
  expect(checked.stdout).toBe('');
});

const BODY = `
  const { auditContext } = await import('@sealtrail/sdk/express');
  const { auditContext: plugin } = await import('@sealtrail/sdk/fastify');
  const audit = createAudit({ service: 'alone', vocabulary: 'vocabulary.json' });
  const request = { headers: { 'x-request-id': 'req-1' }, ip: '10.0.0.7' };
  const receipt = await new Promise((resolve, reject) => {
    auditContext()(request, { setHeader() {} }, () => {
      const actor = { type: 'user', id: 'u-1', name: 'Ada' };
      const draft = { action: 'customer.export', outcome: 'success', actor };
      audit.record({ ...draft, resource: { type: 'customer', id: 'c-1' } }).then(resolve, reject);
    });
  });
  await audit.close();
  console.log(JSON.stringify({ receipt, plugin: typeof plugin, isError: new AuditError('closed', 'x') instanceof Error }));
`;
const PROGRAMS: readonly (readonly [string, string, string])[] = [
  [
    'an ES module',
    'main.mjs',
    `import { AuditError, createAudit } from '@sealtrail/sdk';\n${BODY}`,
  ],
  [
    'CommonJS, through import()',
    'main.cjs',
    `(async () => {\nconst { AuditError, createAudit } = await import('@sealtrail/sdk');\n${BODY}})();`,
  ],
  [
    'CommonJS, through require()',
    'require.cjs',
    `const { AuditError, createAudit } = require('@sealtrail/sdk');\n(async () => {\n${BODY}})();`,
  ],
];

for (const [what, name, text] of PROGRAMS) {
  it(`records from ${what}, with one context behind all its doors`, async () => {
    const peer = await startAgentPeer();
    await writeFile(join(app, 'vocabulary.json'), JSON.stringify(TEST_VOCABULARY));
    await writeFile(join(app, name), text);
    const env = {
      ...process.env,
      SEALTRAIL_SOCKET: peer.socketPath,
      SEALTRAIL_REDACTION_KEY: TEST_KEY,
    };
    try {
      const { stdout } = await run(process.execPath, [name], { cwd: app, env });
      expect(JSON.parse(stdout)).toMatchObject({
        receipt: { stream: 'peer', seq: 0 },
        plugin: 'function',
        isError: true,
      });
      expect(JSON.parse(peer.appended[0]?.text ?? '{}')).toMatchObject({
        correlation: { request_id: 'req-1' },
        source: { ip: '10.0.0.7', service: 'alone' },
      });
    } finally {
      await peer.close();
    }
  });
}

it("prints the outbox's table for a migration, with no driver installed", async () => {
  const page = readFileSync(join(ROOT, 'docs/OUTBOX.md'), 'utf8');
  const script = /^node -e "(import\('@sealtrail\/sdk\/outbox'\).*)" >/m.exec(page)?.[1] ?? '';
  const { stdout } = await run(process.execPath, ['-e', script], { cwd: app });
  expect(stdout).toMatch(/^CREATE TABLE IF NOT EXISTS audit_outbox \(\n/);
});

it('says what is missing, in words, when there is no key', async () => {
  const text = `import('@sealtrail/sdk').then(({ createAudit }) => createAudit({ service: 'x', vocabulary: {} }));`;
  await writeFile(join(app, 'keyless.cjs'), text);
  const { SEALTRAIL_REDACTION_KEY: _, ...env } = process.env;
  const failed = await run(process.execPath, ['keyless.cjs'], { cwd: app, env }).then(
    () => ({ code: 0, stderr: '' }),
    (error: { code: number; stderr: string }) => error,
  );
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toContain('redaction_key_missing');
  expect(failed.stderr).toContain('SEALTRAIL_REDACTION_KEY');
  expect(existsSync(join(app, 'data'))).toBe(false);
});
