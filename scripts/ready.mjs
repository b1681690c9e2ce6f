// Makes a checkout ready to run: installs when the lock file changed, builds when a source did.
// Uses Node only, since on a fresh clone nothing else is there yet.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`sealtrail needs Node.js 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

const SOURCES = [
  'schemas',
  'redaction',
  'ledger',
  'store',
  'auditor',
  'demo',
  'sdk',
  'agent',
  'cli',
  'bench',
  'examples',
  'scripts',
  'config',
];
const SKIP = new Set(['node_modules', 'dist', 'generated']);

function* filesBelow(path) {
  if (!existsSync(path)) return;
  if (statSync(path).isFile()) {
    yield path;
    return;
  }
  for (const name of readdirSync(path).sort())
    if (!SKIP.has(name)) yield* filesBelow(join(path, name));
}

function digestOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths)
    for (const file of filesBelow(path)) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

function unlessStamped(stampFile, digest, what, run) {
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === digest) return;
  console.error(`sealtrail: ${what} …`);
  run();
  writeFileSync(stampFile, digest);
}

function run(command, args) {
  // npm talks on stderr-side here: stdout belongs to the program that starts afterwards.
  const done = spawnSync(command, args, { stdio: ['ignore', 2, 2] });
  if (done.status !== 0) {
    console.error(`sealtrail: \`${command} ${args.join(' ')}\` failed; see above.`);
    process.exit(done.status ?? 1);
  }
}

unlessStamped(
  'node_modules/.sealtrail-stamp',
  digestOf(['package-lock.json']),
  'installing dependencies (first start, or the lock file changed)',
  () => run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']),
);
unlessStamped(
  'dist/.sealtrail-stamp',
  digestOf([...SOURCES, 'package.json', 'tsconfig.json', 'tsconfig.build.json']),
  'building',
  () => run(process.execPath, ['scripts/build.mjs']),
);

// Where npx looks first. Elsewhere it keeps for good what it found at first: nothing, if it was called before the build.
const COMMAND = 'node_modules/.bin/sealtrail';
if (!existsSync(COMMAND)) {
  // In one step: another start may do the same.
  const own = `${COMMAND}.${process.pid}`;
  symlinkSync('../../dist/cli/main.js', own);
  renameSync(own, COMMAND);
}
