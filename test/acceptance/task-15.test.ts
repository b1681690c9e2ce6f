/** Task 15: WORM storage, with a real agent, the real commands, and a real S3 server with Object Lock. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect } from 'vitest';
import type { S3ExporterConfig } from '../../schemas/archive-config.ts';
import { createAudit } from '../../sdk/index.ts';
import { headObject, listVersions, readVersion } from '../../store/archive/objects.ts';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
  type Ran,
} from '../support/agent-process.ts';
import { archiveClient, archiveConfig, refusalOf, startS3, type TestS3 } from '../support/s3.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';

const DAY_MS = 86_400_000;

let s3: TestS3;
let agent: AgentProcess;
let config: S3ExporterConfig;
let eventId = '';

/** The bucket's owner, with every right that there is; the server has no user above it. */
const asOwner = () => {
  const { user: _user, ...credentials } = s3.admin;
  return archiveClient({ ...config, ...credentials });
};
const cli = (...args: string[]): Promise<Ran> =>
  runCli([...args, '--config', agent.configFile, '--json'], {
    env: {
      SEALTRAIL_SETUP_ACCESS_KEY_ID: s3.admin.access_key_id,
      SEALTRAIL_SETUP_SECRET_ACCESS_KEY: s3.admin.secret_access_key,
    },
  });
const saidBy = async <T>(ran: Promise<Ran>): Promise<T> => {
  const { code, stdout, stderr } = await ran;
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as T;
};

interface Listed {
  readonly key: string;
  readonly mode: string;
  readonly retain_until: string;
  readonly held: boolean;
}
const list = async (...args: string[]): Promise<readonly Listed[]> =>
  (await saidBy<{ objects: readonly Listed[] }>(cli('archive', 'list', ...args))).objects;

async function remove(key: string, versionId: string | undefined): Promise<string | null> {
  using owner = asOwner();
  return refusalOf(
    owner.run((sdk, to, options) =>
      to.send(
        new sdk.DeleteObjectCommand({
          Bucket: config.bucket,
          Key: config.prefix + key,
          VersionId: versionId,
          BypassGovernanceRetention: true,
        }),
        options,
      ),
    ),
  );
}

beforeAll(async () => {
  s3 = await startS3();
  const { user: _user, ...owner } = s3.admin;
  config = archiveConfig(s3, { segment_age_ms: 200, ...owner });
  const { name: _name, type: _type, retain_days: _days, retry: _retry, ...exporter } = config;
  agent = await startAgentProcess({
    exporters: { s3: { ...exporter, batch_bytes_max: 1 << 20 } },
    config: { checkpoints: { interval_ms: 50 } },
  });
  expect((await cli('setup', 'archive')).code).toBe(0);
  const audit = createAudit({
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    timeoutMs: 30_000,
    tenant: 'acme',
  });
  const receipts = await Promise.all(
    Array.from({ length: 30 }, (_, at) =>
      audit.record({
        action: 'customer.export',
        outcome: 'success',
        actor: { type: 'user', id: 'u-1', name: 'Ada' },
        resource: { type: 'customer', id: `c-${at}` },
      }),
    ),
  );
  eventId = receipts[0]?.event_id ?? '';
  await audit.close();
  await agent.delivered();
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await s3[Symbol.asyncDispose]();
});

describeTask(15, (criterion) => {
  criterion('an audit object is written and readable', async (say) => {
    const objects = await list();
    expect(objects.length).toBeGreaterThan(0);
    using owner = asOwner();
    const texts: string[] = [];
    for (const { key, mode, retain_until } of objects) {
      expect(mode).toBe('COMPLIANCE');
      expect(Date.parse(retain_until)).toBeGreaterThan(Date.now() + 360 * DAY_MS);
      const head = await headObject(owner, key);
      const body = await readVersion(owner, { key, versionId: head?.versionId ?? '' });
      texts.push(gunzipSync(body).toString('utf8'));
    }
    expect(
      texts
        .join('')
        .split('\n')
        .filter((line) => line.includes(`"${eventId}"`)).length,
    ).toBe(1);
    const keys = join(agent.dir, 'trusted.txt');
    await writeFile(keys, (await runCli(['keys', 'list', '--data-dir', agent.dir])).stdout);
    const found = await saidBy<{ verdict: string; records: number }>(
      cli('restore', '--check', '--trust', keys),
    );
    expect(found.verdict).toBe('intact');
    const out = join(agent.dir, 'restored');
    expect((await cli('restore', '--out', out, '--trust', keys)).code).toBe(0);
    expect((await runCli(['verify', out])).code).toBe(0);
    say(`${found.records} records in ${objects.length} objects`);
  });

  criterion('deletion before the retention date is refused, for an admin too', async (say) => {
    using owner = asOwner();
    const [first] = await list();
    const key = first?.key ?? '';
    const head = await headObject(owner, key);
    expect(await remove(key, head?.versionId)).toBe('AccessDenied');
    const many = await owner.run((sdk, to, options) =>
      to.send(
        new sdk.DeleteObjectsCommand({
          Bucket: config.bucket,
          BypassGovernanceRetention: true,
          Delete: { Objects: [{ Key: config.prefix + key, VersionId: head?.versionId }] },
        }),
        options,
      ),
    );
    expect(many.Errors).toMatchObject([{ Code: 'AccessDenied' }]);
    const shortened = owner.run((sdk, to, options) =>
      to.send(
        new sdk.PutObjectRetentionCommand({
          Bucket: config.bucket,
          Key: config.prefix + key,
          VersionId: head?.versionId,
          BypassGovernanceRetention: true,
          Retention: { Mode: 'COMPLIANCE', RetainUntilDate: new Date(Date.now() + DAY_MS) },
        }),
        options,
      ),
    );
    expect(await refusalOf(shortened)).toBe('AccessDenied');
    expect(await headObject(owner, key, head?.versionId)).toMatchObject({ bytes: head?.bytes });
    say("the bucket's owner: AccessDenied");
  });

  criterion('an overwrite leaves the original version intact', async (say) => {
    using owner = asOwner();
    const key = (await list())[0]?.key ?? '';
    const before = await headObject(owner, key);
    const original = await readVersion(owner, { key, versionId: before?.versionId ?? '' });
    await owner.run((sdk, to, options) =>
      to.send(
        new sdk.PutObjectCommand({
          Bucket: config.bucket,
          Key: config.prefix + key,
          Body: 'forged',
        }),
        options,
      ),
    );
    const versions: string[] = [];
    for await (const page of listVersions(owner, key))
      versions.push(...page.map(({ versionId }) => versionId));
    expect(versions.length).toBe(2);
    expect(await readVersion(owner, { key, versionId: before?.versionId ?? '' })).toEqual(original);
    // A restore reads the original, and names what was put on top of it.
    const ran = await cli('restore', '--check');
    expect(ran.code).toBe(1);
    const found = JSON.parse(ran.stdout) as { findings: { kind: string; object: string }[] };
    expect(found.findings.map(({ kind, object }) => [kind, object])).toEqual([
      ['overwritten', key],
    ]);
    say('2 versions, the first unchanged');
  });

  criterion('governance and compliance mode are told apart', async () => {
    using owner = asOwner();
    const put = async (mode: 'GOVERNANCE' | 'COMPLIANCE'): Promise<string | undefined> => {
      const done = await owner.run((sdk, to, options) =>
        to.send(
          new sdk.PutObjectCommand({
            Bucket: config.bucket,
            Key: `${config.prefix}${mode}`,
            Body: 'x',
            ObjectLockMode: mode,
            ObjectLockRetainUntilDate: new Date(Date.now() + DAY_MS),
          }),
          options,
        ),
      );
      return done.VersionId;
    };
    expect(await remove('GOVERNANCE', await put('GOVERNANCE'))).toBeNull();
    expect(await remove('COMPLIANCE', await put('COMPLIANCE'))).toBe('AccessDenied');
    expectDefence('docs/ARCHIVE.md', 'Governance or compliance', {
      says: [/bypass/i, /nobody|no one/i, /17a-4/, /regulator/i, /PCI/, /HIPAA/],
      names: ['test/store/archive.test.ts'],
    });
  });

  criterion('a lifecycle rule moves objects to cold storage under lock', async (say) => {
    using owner = asOwner();
    const { Rules = [] } = await owner.run((sdk, to, options) =>
      to.send(new sdk.GetBucketLifecycleConfigurationCommand({ Bucket: config.bucket }), options),
    );
    const moves = Rules.filter(({ Transitions }) => (Transitions ?? []).length > 0);
    expect(moves).toMatchObject([
      {
        Status: 'Enabled',
        Filter: { Prefix: `${config.prefix}segments/` },
        Transitions: [{ Days: 90, StorageClass: 'GLACIER' }],
      },
    ]);
    // Nothing expires: no rule may take what a lock, or a class with a longer date, still keeps.
    expect(
      Rules.filter(
        ({ Expiration, NoncurrentVersionExpiration }) =>
          Expiration !== undefined || NoncurrentVersionExpiration !== undefined,
      ),
    ).toEqual([]);
    for (const { mode } of await list()) expect(mode).toMatch(/COMPLIANCE/);
    say('after 90 days to GLACIER');
  });

  criterion('a legal hold prevents deletion without end', async (say) => {
    using owner = asOwner();
    const hold = ['--matter', 'case-17', '--reason', 'a letter'];
    const held = await saidBy<{ objects: number }>(
      cli('archive', 'hold', 'add', ...hold, '--tenant', 'acme'),
    );
    expect(held.objects).toBeGreaterThan(0);
    expect((await list('--tenant', 'acme')).every((one) => one.held)).toBe(true);
    // Of an object without any date: the hold alone keeps it.
    const bare = { Bucket: config.bucket, Key: `${config.prefix}bare` };
    const { VersionId } = await owner.run((sdk, to, options) =>
      to.send(
        new sdk.PutObjectCommand({
          ...bare,
          Body: 'x',
          ObjectLockMode: 'GOVERNANCE',
          ObjectLockRetainUntilDate: new Date(Date.now() + DAY_MS),
          ObjectLockLegalHoldStatus: 'ON',
        }),
        options,
      ),
    );
    expect(await remove('bare', VersionId)).toBe('AccessDenied');
    await owner.run((sdk, to, options) =>
      to.send(
        new sdk.PutObjectLegalHoldCommand({ ...bare, VersionId, LegalHold: { Status: 'OFF' } }),
        options,
      ),
    );
    expect(await remove('bare', VersionId)).toBeNull();
    const lifted = await saidBy<{ objects: number }>(cli('archive', 'hold', 'lift', ...hold));
    expect(lifted.objects).toBe(held.objects);
    say(`${held.objects} objects held and freed`);
  });
});
