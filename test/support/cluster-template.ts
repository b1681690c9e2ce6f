/**
 * A PostgreSQL cluster that is made and migrated once a test run. Tests that are not about making one begin with a
 * copy: that takes a tenth of what initdb takes. vitest calls `setup` before the first test and `teardown` at the end.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startEmbeddedPostgres } from '../../store/embedded.ts';
import { createPostgresStore } from '../../store/postgres.ts';

const VARIABLE = 'SEALTRAIL_TEST_CLUSTER';
const run = promisify(execFile);

export async function setup(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'sealtrail-cluster-'));
  await chmod(root, 0o755);
  const started = await startEmbeddedPostgres({ dir: join(root, 'postgres'), port: 0 });
  if (!started.ok) throw new Error(started.error.message);
  const store = createPostgresStore({
    url: started.value.writerUrl,
    ownerUrl: started.value.ownerUrl,
  });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  await store.close();
  await started.value.stop();
  // Each copy picks a port of its own.
  await rm(join(root, 'postgres/port'), { force: true });
  process.env[VARIABLE] = root;
}

export async function teardown(): Promise<void> {
  const root = process.env[VARIABLE];
  if (root !== undefined) await rm(root, { recursive: true, force: true });
}

/** Puts a copy into a data directory that has no cluster: `postgres/` and its passwords below `keys/`. */
export async function seedCluster(dataDir: string): Promise<void> {
  const root = process.env[VARIABLE];
  if (root === undefined) throw new Error('the tests run without test/support/cluster-template.ts');
  const keys = join(dataDir, 'keys');
  await mkdir(keys, { recursive: true, mode: 0o700 });
  await run('cp', ['-a', join(root, 'postgres'), dataDir]);
  await run('cp', ['-a', join(root, 'keys/postgres-passwords.json'), keys]);
}
