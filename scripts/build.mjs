// Builds dist/: JSON Schemas -> standalone validators (schemas/generated), then tsc. The new dist/ takes
// the old one's place only when it is whole, so that nobody runs half of it.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { generateValidators } from './validators.mjs';
import { bundleWebClient, WEB_OUT } from './web-client.mjs';
import { buildVerifyPage } from './verify-page.mjs';

const next = `dist.next-${process.pid}`;
const old = `dist.old-${process.pid}`;
const TSC = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', next];

generateValidators();
bundleWebClient();
buildVerifyPage();
try {
  const tsc = spawnSync(process.execPath, TSC, { stdio: 'inherit' });
  if (tsc.status !== 0) throw new Error('the build failed: tsc has said why');
  for (const made of ['schemas/generated', 'auditor/generated', WEB_OUT])
    cpSync(made, `${next}/${made}`, { recursive: true });
  for (const sql of ['store/migrations', 'store/vault/migrations', 'store/vault/roles.sql'])
    cpSync(sql, `${next}/${sql}`, { recursive: true });
  chmodSync(`${next}/cli/main.js`, 0o755);
  if (existsSync('dist')) renameSync('dist', old);
  renameSync(next, 'dist');
} finally {
  rmSync(next, { recursive: true, force: true });
  rmSync(old, { recursive: true, force: true });
}
