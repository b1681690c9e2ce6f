// Fills sdk/dist with what the SDK is made of and nothing else: tsc follows the imports of sdk/*.ts
// into schemas/ and redaction/, and the validators come from their schemas. Runs before `npm pack`
// (sdk/package.json, prepack) and needs no build of the rest.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));

const TSC = 'node_modules/typescript/bin/tsc';
/** Schemas that the SDK checks against. */
const SCHEMAS = ['event', 'vocabulary'];

// stdout belongs to npm, whose last line is the name of the package.
function run(...args) {
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(TSC)) run('scripts/ready.mjs');
const { generateValidators } = await import('./validators.mjs');
if (!existsSync('schemas/generated/event.d.ts')) generateValidators();
rmSync('sdk/dist', { recursive: true, force: true });
run(TSC, '-p', 'sdk/tsconfig.build.json');
for (const path of readdirSync('sdk/dist', { recursive: true })) {
  if (path.endsWith('.d.ts')) nameCompiledFiles(join('sdk/dist', path));
}
generateValidators('sdk/dist/schemas/generated', SCHEMAS);

/** tsc leaves './x.ts' in declarations, a file that is not in the package. */
function nameCompiledFiles(path) {
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replaceAll(/'(\.{1,2}\/[^']+)\.ts'/g, "'$1.js'"));
}
