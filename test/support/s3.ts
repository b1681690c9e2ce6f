/**
 * A real S3 server with Object Lock for tests: Ceph's radosgw over one monitor and one memory store, on free
 * ports of 127.0.0.1, started once a file (about 12 s) and stopped by its pids.
 */
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, vi } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import type { S3ExporterConfig } from '../../schemas/archive-config.ts';
import { createArchiveClient, type ArchiveClient } from '../../store/archive/client.ts';
import { SINK_BASE } from './sinks.ts';

const run = promisify(execFile);

/** Whether the server is installed. */
export const hasS3: boolean = ['ceph-mon', 'ceph-osd', 'radosgw'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
);

export interface TestS3 extends AsyncDisposable {
  readonly endpoint: string;
  /** Who writes, and who owns the buckets of some tests and gives the writer its rights. */
  readonly writer: Credentials;
  readonly admin: Credentials;
  /** Takes a user's key away, or gives it back. */
  setKey(who: Credentials, isValid: boolean): Promise<void>;
}

export interface Credentials {
  readonly user: string;
  readonly access_key_id: string;
  readonly secret_access_key: string;
}

const user = (name: string): Credentials => ({
  user: name,
  access_key_id: `${name}-key`,
  secret_access_key: `${name}-secret`,
});

/** Starts a server. */
export async function startS3(): Promise<TestS3> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-s3-'));
  const at = (name: string): string => join(dir, name);
  for (const folder of ['mon', 'osd']) await mkdir(at(folder));
  const [monitorPort, port, fsid, osd] = [
    await freePort(),
    await freePort(),
    randomUUID(),
    randomUUID(),
  ];
  const endpoint = `http://127.0.0.1:${port}`;
  const settings = {
    fsid,
    keyring: at('keyring'),
    'mon host': `[v2:127.0.0.1:${monitorPort}/0]`,
    'public addr': '127.0.0.1',
    'cluster addr': '127.0.0.1',
    'run dir': dir,
    'admin socket': at('$name.$pid.asok'),
    'log file': at('$name.log'),
    'osd pool default size': 1,
    'osd pool default min size': 1,
    'osd pool default pg num': 1,
    'osd pool default pg autoscale mode': 'off',
    'osd crush chooseleaf type': 0,
    'mon allow pool size one': true,
    'mon data avail crit': 1,
    'osd objectstore': 'memstore',
    'mon data': at('mon'),
    'osd data': at('osd'),
    'rgw frontends': `beast endpoint=127.0.0.1:${port}`,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  await writeFile(at('ceph.conf'), ['[global]', ...lines, ''].join('\n'));

  const children: ChildProcess[] = [];
  const conf = ['-c', at('ceph.conf')];
  const start = (program: string, ...args: string[]): void => {
    children.push(spawn(program, [...conf, ...args, '-f'], { stdio: 'ignore' }));
  };
  const key = (name: string, ...caps: string[]): Promise<unknown> =>
    run('ceph-authtool', [
      ...(name === 'mon.' ? ['-C'] : []),
      at('keyring'),
      '--gen-key',
      '-n',
      name,
      ...caps.flatMap((cap) => ['--cap', ...cap.split(':')]),
    ]);
  const administer = (...args: string[]): Promise<unknown> =>
    run('radosgw-admin', [...conf, ...args]);
  const setKey = ({ user: uid, ...key }: Credentials, isValid: boolean): Promise<unknown> =>
    administer(
      'key',
      isValid ? 'create' : 'rm',
      `--uid=${uid}`,
      `--access-key=${key.access_key_id}`,
      ...(isValid ? [`--secret-key=${key.secret_access_key}`] : []),
    );

  async function stop(): Promise<void> {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
    await rm(dir, { recursive: true, force: true });
  }

  try {
    await key('mon.', 'mon:allow *');
    await key('client.admin', 'mon:allow *', 'osd:allow *');
    await key('osd.0', 'mon:allow profile osd', 'osd:allow *');
    const address = `[v2:127.0.0.1:${monitorPort}/0]`;
    await run('monmaptool', ['--create', '--fsid', fsid, '--addv', 'a', address, at('monmap')]);
    const fresh = ['--mkfs', '-i', 'a', '--monmap', at('monmap'), '--keyring', at('keyring')];
    await run('ceph-mon', [...conf, ...fresh]);
    start('ceph-mon', '-i', 'a');
    await run('ceph', [...conf, 'osd', 'new', osd]);
    await run('ceph-osd', [...conf, '-i', '0', '--mkfs', '--osd-uuid', osd, '--no-mon-config']);
    await run('ceph', [
      ...conf,
      'osd',
      'crush',
      'add',
      'osd.0',
      '1.0',
      'root=default',
      'host=localhost',
    ]);
    start('ceph-osd', '-i', '0');
    start('radosgw', '-n', 'client.admin');
    await vi.waitFor(async () => expect((await fetch(endpoint)).ok).toBe(true), {
      timeout: 60_000,
      interval: 100,
    });
    for (const { user: uid, ...key } of [user('writer'), user('admin')])
      await administer(
        'user',
        'create',
        `--uid=${uid}`,
        `--display-name=${uid}`,
        `--access-key=${key.access_key_id}`,
        `--secret-key=${key.secret_access_key}`,
      );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint,
    writer: user('writer'),
    admin: user('admin'),
    setKey: async (who, isValid) => {
      await setKey(who, isValid);
    },
    [Symbol.asyncDispose]: stop,
  };
}

let buckets = 0;

/** An exporter's configuration for a bucket that no other test has. */
export function archiveConfig(
  s3: Pick<TestS3, 'endpoint' | 'writer'>,
  over: Partial<S3ExporterConfig> = {},
): S3ExporterConfig {
  const { user: _user, ...credentials } = s3.writer;
  return {
    ...SINK_BASE,
    timeout_ms: 20_000,
    name: 's3',
    type: 's3',
    bucket: `archive-${process.pid}-${(buckets += 1)}`,
    prefix: 'sealtrail/',
    region: 'us-east-1',
    endpoint: s3.endpoint,
    path_style: true,
    ...credentials,
    lock_mode: 'compliance',
    multipart_bytes: 5 * 1024 * 1024,
    segment_age_ms: 0,
    retain_days: { standard: 366, financial: 2557 },
    ...over,
  };
}

export function archiveClient(config: S3ExporterConfig): ArchiveClient & Disposable {
  const client = createArchiveClient(config, { timeoutMs: config.timeout_ms });
  return { ...client, [Symbol.dispose]: () => client.close() };
}

/** A bucket with Object Lock, and no retention by default. */
export async function makeLockedBucket(config: S3ExporterConfig): Promise<void> {
  using client = archiveClient(config);
  await client.run((s3, to, options) =>
    to.send(
      new s3.CreateBucketCommand({ Bucket: config.bucket, ObjectLockEnabledForBucket: true }),
      options,
    ),
  );
}

/** What the server said no with; null when it said yes. */
export async function refusalOf(work: Promise<unknown>): Promise<string | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error;
    return String(error.code);
  }
}
