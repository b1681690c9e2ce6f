// Builds dist/: JSON Schemas -> standalone validators (schemas/generated), then tsc.
// --validators stops after the first step (what tests need before vitest runs the sources).
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { generateValidators } from './validators.mjs';

generateValidators();
rmSync('dist', { recursive: true, force: true });
mkdirSync('dist', { recursive: true });
const tsc = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
  {
    stdio: 'inherit',
  },
);
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
cpSync('schemas/generated', 'dist/schemas/generated', { recursive: true });
cpSync('store/migrations', 'dist/store/migrations', { recursive: true });
