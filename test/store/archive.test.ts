/**
 * The archive against a real S3 server with Object Lock: what is locked stays, what was put is found again, and
 * a store comes back from it alone.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { comparing } from '../../agent/checkpoint/anchors/compare.ts';
import { parseKeys } from '../../agent/checkpoint/anchors/begin.ts';
import { createObjectAnchor } from '../../agent/checkpoint/anchors/object.ts';
import { createS3Sink } from '../../agent/deliver/sinks/s3.ts';
import { realTiming } from '../../agent/deliver/timing.ts';
import type { DeliveryRecord, Sink } from '../../agent/ports.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import type { S3ExporterConfig } from '../../schemas/archive-config.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { readCatalog } from '../../store/archive/catalog.ts';
import type { ArchiveClient } from '../../store/archive/client.ts';
import { addHold, liftHold, listHolds } from '../../store/archive/holds.ts';
import { headObject, listVersions, putLocked, readVersion } from '../../store/archive/objects.ts';
import { createFolderTarget, createStoreTarget } from '../../store/archive/restore-targets.ts';
import type { Restoration, RestoreTarget } from '../../store/archive/restoration.ts';
import { restoreArchive } from '../../store/archive/restore.ts';
import { setupArchive, writerPolicyOf } from '../../store/archive/setup.ts';
import { deliveryRecord } from '../../agent/deliver/record.ts';
import { silentLog } from '../support/append-stage.ts';
import { createFakeClock, startTestStage, TEST_SIGNER } from '../support/checkpoints.ts';
import { makeEvent } from '../support/events.ts';
import { testWhere } from '../support/host.ts';
import { makeTempDir, openTestLedger } from '../support/ledger.ts';
import { startPostgres, type TestPostgres, type TestRole } from '../support/postgres.ts';
import {
  archiveClient,
  archiveConfig,
  hasS3,
  makeLockedBucket,
  refusalOf,
  startS3,
  type TestS3,
} from '../support/s3.ts';
import { sealedRecords, send } from '../support/sinks.ts';
import { createTestLog } from '../support/witness.ts';
import { createSealer } from './sealed.ts';

const test = testWhere(hasS3, 'the archive needs radosgw, ceph-mon and ceph-osd');
const DELIVERED = { kind: 'delivered', retry: [], poison: [] };
const DAY_MS = 86_400_000;

let s3: TestS3;
let postgres: TestPostgres;
beforeAll(async () => {
  if (!hasS3) return;
  [s3, postgres] = await Promise.all([startS3(), startPostgres()]);
}, 90_000);
afterAll(async () => {
  if (!hasS3) return;
  await Promise.all([s3[Symbol.asyncDispose](), postgres.stop()]);
});

const openSink = (config: S3ExporterConfig, dataDir = '/nowhere'): Sink =>
  createS3Sink(config, { dataDir, log: silentLog, timing: realTiming });

const sealers = () =>
  ['standard', 'financial'].map((label) => createSealer(`sealtrail/host-1/01INC/t1/${label}`));

/** The rights that `sealtrail setup archive --policy` prints, given to the writer as they are. */
async function grantWriter(owner: ArchiveClient, config: S3ExporterConfig): Promise<void> {
  const Principal = { AWS: [`arn:aws:iam:::user/${s3.writer.user}`] };
  const policy = writerPolicyOf(config);
  const Statement = policy.Statement.map((one) => ({ ...one, Principal }));
  await owner.run((sdk, to, options) =>
    to.send(
      new sdk.PutBucketPolicyCommand({
        Bucket: config.bucket,
        Policy: JSON.stringify({ ...policy, Statement }),
      }),
      options,
    ),
  );
}

async function keysOf(client: ArchiveClient): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const page of listVersions(client, '')) keys.push(...page.map(({ key }) => key));
  return keys;
}

const asAdmin = (config: S3ExporterConfig): S3ExporterConfig => {
  const { user: _user, ...credentials } = s3.admin;
  return { ...config, ...credentials };
};

test('what is archived is readable, and nobody deletes, overwrites or shortens it: not the writer, not the owner, not an admin', async () => {
  const config = archiveConfig(s3);
  using owner = archiveClient(asAdmin(config));
  using writer = archiveClient(config);
  const lifecycle = { coldAfterDays: 90, storageClass: 'GLACIER' };
  const setup = { client: owner, lock: config, defaultDays: 1, lifecycle };
  expect((await setupArchive(setup))[0]).toEqual({ what: 'bucket', done: 'made' });
  await setupArchive(setup);
  await grantWriter(owner, config);
  const records = sealedRecords(20, undefined, sealers());
  // With no more than those rights an agent archives; the rest is put by the owner, to be its own.
  for (const [who, from, to] of [
    [config, 0, 10],
    [asAdmin(config), 10, 20],
  ] as const) {
    const sink = openSink(who);
    expect(await send(sink, records.slice(from, to))).toEqual(DELIVERED);
    await sink.close();
  }

  const keys = await keysOf(owner);
  expect(keys.map((key) => key.split('/').slice(0, 4).join(' '))).toEqual([
    expect.stringMatching(/^manifests host-1 0{20}-/),
    expect.stringMatching(/^manifests host-1 0{18}10-/),
    'segments host-1 01INC financial',
    'segments host-1 01INC financial',
    'segments host-1 01INC standard',
    'segments host-1 01INC standard',
  ]);
  const days = [2557, 2557, 2557, 2557, 366, 366];
  for (const [at, key] of keys.entries()) {
    const head = await headObject(writer, key);
    expect(head?.mode).toBe('COMPLIANCE');
    const leftMs = (head?.retainUntil?.getTime() ?? 0) - Date.now();
    expect(Math.round(leftMs / DAY_MS), key).toBe(days[at]);
  }

  const key = keys[3] ?? '';
  const where = { Bucket: config.bucket, Key: config.prefix + key };
  const genuine = await headObject(owner, key);
  const version = { ...where, VersionId: genuine?.versionId };
  const remove = (client: ArchiveClient, bypass: boolean) =>
    refusalOf(
      client.run((sdk, to, options) =>
        to.send(
          new sdk.DeleteObjectCommand({ ...version, BypassGovernanceRetention: bypass }),
          options,
        ),
      ),
    );
  expect(await remove(writer, false)).toBe('AccessDenied');
  for (const [who, client] of Object.entries({ owner })) {
    const control = { Bucket: config.bucket, Key: `unlocked-${who}` };
    await client.run(async (sdk, to, options) => {
      const put = await to.send(
        new sdk.PutObjectCommand({
          ...control,
          Body: 'x',
          ObjectLockMode: 'GOVERNANCE',
          ObjectLockRetainUntilDate: new Date(Date.now() + DAY_MS),
        }),
        options,
      );
      // The right to delete is there, governance or not: what follows is refused for the lock alone.
      await to.send(
        new sdk.DeleteObjectCommand({
          ...control,
          VersionId: put.VersionId,
          BypassGovernanceRetention: true,
        }),
        options,
      );
    });
    expect(await remove(client, false), who).toBe('AccessDenied');
    expect(await remove(client, true), who).toBe('AccessDenied');
    // A list of deletions is answered with 200, and the refusal stands inside.
    const removed = await client.run((sdk, to, options) =>
      to.send(
        new sdk.DeleteObjectsCommand({
          Bucket: config.bucket,
          Delete: { Objects: [{ Key: version.Key, VersionId: version.VersionId }] },
        }),
        options,
      ),
    );
    expect(removed.Errors, who).toMatchObject([{ Code: 'AccessDenied' }]);
    const retain = (mode: 'COMPLIANCE' | 'GOVERNANCE', days: number) =>
      client.run((sdk, to, options) =>
        to.send(
          new sdk.PutObjectRetentionCommand({
            ...version,
            BypassGovernanceRetention: true,
            Retention: { Mode: mode, RetainUntilDate: new Date(Date.now() + days * DAY_MS) },
          }),
          options,
        ),
      );
    expect(await refusalOf(retain('COMPLIANCE', 2_000)), `${who} shortens`).toBe('AccessDenied');
    expect(await refusalOf(retain('GOVERNANCE', 3_000)), `${who} softens`).toBe('AccessDenied');
    expect(await refusalOf(retain('COMPLIANCE', 2_600)), `${who} makes it longer`).toBeNull();
    // Over it and on top of it: new versions, and what was archived is below them.
    await client.run((sdk, to, options) =>
      to.send(new sdk.PutObjectCommand({ ...where, Body: `forged by ${who}` }), options),
    );
  }
  await owner.run((sdk, to, options) => to.send(new sdk.DeleteObjectCommand(where), options));
  expect(await headObject(owner, key)).toBeNull();
  expect(await headObject(owner, key, genuine?.versionId)).toMatchObject({ etag: genuine?.etag });

  const found = await restoreArchive({
    client: writer,
    trust: null,
    target: null,
    nowMs: Date.now,
  });
  expect(found).toMatchObject({ verdict: 'broken', records: 20 });
  expect(found.streams.map(({ verified_to }) => verified_to)).toEqual([9, 9]);
  expect(found.findings.map(({ kind, object }) => [kind, object])).toEqual([
    ['hidden', key],
    ['overwritten', key],
  ]);
});

test('in governance mode the right to bypass deletes, in compliance mode nothing does, and after the date both go', async () => {
  const config = archiveConfig(s3);
  await makeLockedBucket(config);
  using client = archiveClient(config);
  const body = Buffer.from('{}\n');
  const object = (key: string, ms: number) => ({
    key,
    body,
    contentType: 'application/json',
    retainUntil: new Date(Date.now() + ms),
  });
  const remove = (key: string, versionId: string, bypass: boolean) =>
    refusalOf(
      client.run((sdk, to, options) =>
        to.send(
          new sdk.DeleteObjectCommand({
            Bucket: config.bucket,
            Key: config.prefix + key,
            VersionId: versionId,
            BypassGovernanceRetention: bypass,
          }),
          options,
        ),
      ),
    );
  const soft = await putLocked(
    client,
    { ...config, lock_mode: 'governance' },
    object('soft', DAY_MS),
  );
  expect(await remove('soft', soft.versionId, false)).toBe('AccessDenied');
  expect(await remove('soft', soft.versionId, true)).toBeNull();
  const hard = await putLocked(client, config, object('hard', DAY_MS));
  expect(await remove('hard', hard.versionId, true)).toBe('AccessDenied');
  const brief = await putLocked(client, config, object('brief', 2_000));
  expect(await remove('brief', brief.versionId, true)).toBe('AccessDenied');
  await vi.waitFor(async () => expect(await remove('brief', brief.versionId, false)).toBeNull(), {
    timeout: 20_000,
    interval: 200,
  });
});

test('a legal hold keeps an object beyond its date, and the last matter that is lifted frees it', async () => {
  const config = archiveConfig(s3, { lock_mode: 'governance' });
  await makeLockedBucket(config);
  using client = archiveClient(config);
  const sink = openSink(config);
  await send(sink, sealedRecords(6, undefined, sealers()));
  await sink.close();
  const options = { client, lock: config, retainDays: 2557, nowMs: Date.now };
  const said = { reason: 'letter of 3 March', by: 'counsel' };
  expect(
    await addHold(options, { matter: 'm-1', filter: { label: 'financial' }, ...said }),
  ).toEqual({ ok: true, value: { objects: 1 } });
  expect(await addHold(options, { matter: 'm-2', filter: { tenant: 'acme' }, ...said })).toEqual({
    ok: true,
    value: { objects: 2 },
  });
  expect(await addHold(options, { matter: 'm-3', filter: { tenant: 'globex' }, ...said })).toEqual({
    ok: true,
    value: { objects: 0 },
  });
  expect((await listHolds(client)).map(({ matter }) => matter)).toEqual(['m-1', 'm-2', 'm-3']);

  const keys = (await keysOf(client)).filter((key) => key.startsWith('segments/'));
  const removeAll = () =>
    Promise.all(
      keys.map(async (key) => {
        const head = await headObject(client, key);
        return refusalOf(
          client.run((sdk, to, sending) =>
            to.send(
              new sdk.DeleteObjectCommand({
                Bucket: config.bucket,
                Key: config.prefix + key,
                VersionId: head?.versionId,
                BypassGovernanceRetention: true,
              }),
              sending,
            ),
          ),
        );
      }),
    );
  // Governance is bypassed, the hold is not.
  expect(await removeAll()).toEqual(['AccessDenied', 'AccessDenied']);
  expect(await liftHold(options, { matter: 'm-2', ...said })).toEqual({
    ok: true,
    value: { objects: 1, kept: 1 },
  });
  expect(await liftHold(options, { matter: 'm-1', ...said })).toEqual({
    ok: true,
    value: { objects: 1, kept: 0 },
  });
  expect(await liftHold(options, { matter: 'm-1', ...said })).toMatchObject({ ok: false });
  expect(await removeAll()).toEqual([null, null]);
});

test('a batch that comes again after a crash adds no object, wherever it is cut, and another content stands beside it', async () => {
  const config = archiveConfig(s3);
  await makeLockedBucket(config);
  using client = archiveClient(config);
  const records = sealedRecords(40, undefined, sealers());
  const segments = async () =>
    (await keysOf(client)).filter((key) => key.startsWith('segments/')).sort();
  // Each sink is the next life of the agent.
  const deliver = async (from: number, to: number) => {
    const sink = openSink(config);
    expect(await send(sink, records.slice(from, to))).toEqual(DELIVERED);
    await sink.close();
  };
  await deliver(0, 30);
  const first = await segments();
  expect(first.length).toBe(2);
  await deliver(0, 30);
  await deliver(0, 10);
  expect(await segments()).toEqual(first);
  await deliver(0, 40);
  const second = await segments();
  expect(second.length).toBe(4);
  expect(second).toEqual(expect.arrayContaining([...first]));
  const prove = () => restoreArchive({ client, trust: null, target: null, nowMs: Date.now });
  expect(await prove()).toMatchObject({ verdict: 'intact', records: 40, findings: [] });

  // A clone of the agent, which has gone its own way from the first record on.
  const clone = openSink(config);
  await send(clone, sealedRecords(10, undefined, sealers()));
  await clone.close();
  expect((await segments()).length).toBe(6);
  const found = await prove();
  expect(found.verdict).toBe('broken');
  expect(new Set(found.findings.map(({ kind }) => kind))).toContain('inserted');
});

test('an object beyond the limit goes in parts, and is locked for as long as one in one piece', async () => {
  const config = archiveConfig(s3, { retain_days: { standard: 30 } });
  await makeLockedBucket(config);
  using client = archiveClient(config);
  const { randomBytes } = await import('node:crypto');
  const [standard] = sealers();
  const records = sealedRecords(
    150,
    () => ({ metadata: { note: randomBytes(40_000).toString('base64') } }),
    [standard!],
  );
  const sink = openSink(config);
  expect(await send(sink, records)).toEqual(DELIVERED);
  await sink.close();
  const key = (await keysOf(client)).find((one) => one.startsWith('segments/')) ?? '';
  const head = await headObject(client, key);
  expect(head?.etag).toMatch(/-2"$/);
  expect(head?.mode).toBe('COMPLIANCE');
  expect(Math.round(((head?.retainUntil?.getTime() ?? 0) - Date.now()) / DAY_MS)).toBe(30);
  expect(
    await restoreArchive({ client, trust: null, target: null, nowMs: Date.now }),
  ).toMatchObject({
    verdict: 'intact',
    records: 150,
  });
});

test('a bucket without Object Lock is refused with the remedy, and a key that was revoked heals when it is given back', async () => {
  const config = archiveConfig(s3);
  const records = sealedRecords(4, undefined, sealers());
  const sink = openSink(config);
  const reasonOf = async () => {
    const said = await send(sink, records);
    return said.kind === 'failed' ? said.reason : said.kind;
  };
  expect(await reasonOf()).toMatch(/NoSuchBucket .*sealtrail setup archive/);
  using client = archiveClient(config);
  const plain = { ...config, bucket: `${config.bucket}-plain` };
  await client.run((sdk, to, options) =>
    to.send(new sdk.CreateBucketCommand({ Bucket: plain.bucket }), options),
  );
  const unlocked = openSink(plain);
  expect(await send(unlocked, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/no Object Lock.*sealtrail setup archive/),
  });
  await unlocked.close();
  await makeLockedBucket(config);
  await s3.setKey(s3.writer, false);
  expect(await reasonOf()).toMatch(/unknown or revoked/);
  await s3.setKey(s3.writer, true);
  expect(await reasonOf()).toBe('delivered');
  await sink.close();
});

/** A ledger with checkpoints, its records as a sink gets them, and what its key is trusted by. */
async function writeTrail(
  dir: string,
): Promise<{ records: readonly DeliveryRecord[]; trust: Trust }> {
  await mkdir(join(dir, 'checkpoints'), { recursive: true });
  const ledger = await openTestLedger(join(dir, 'ledger'));
  for (let at = 0; at < 10; at++)
    await ledger.commit(
      Array.from({ length: 30 }, (_, one) =>
        makeEvent({
          resource: {
            type: 'customer',
            id: `c-${one}`,
            tenant_id: one % 3 === 0 ? 'globex' : 'acme',
          },
        }),
      ),
    );
  const { records: durable } = ledger.writer.position();
  await ledger.writer.close();
  const { stage } = await startTestStage(dir, {
    clock: createFakeClock(),
    durable,
    settings: { records_max: 64 },
  });
  await stage.settled();
  await stage.stop();
  const reader = createLedgerReader({
    dir: join(dir, 'ledger'),
    filesystem: nodeFilesystem,
    from: 0,
  });
  const read = await reader.read({ recordsMax: durable, bytesMax: 1 << 26, upTo: durable });
  await reader.close();
  if (!read.ok) throw new Error(read.error.message);
  const records = read.value.map((text) => deliveryRecord(text.number, text)!);
  const trust = parseTrust(TEST_SIGNER.vkey);
  if (!trust.ok) throw new Error(trust.error);
  return { records, trust: trust.value };
}

async function archiveTrail(
  config: S3ExporterConfig,
  dir: string,
  records: readonly DeliveryRecord[],
) {
  const sink = openSink(config, dir);
  for (let from = 0; from < records.length; from += 120)
    expect(await send(sink, records.slice(from, from + 120))).toEqual(DELIVERED);
  await sink.close();
}

async function query(url: string, sql: string): Promise<readonly object[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<object>(sql)).rows;
  } finally {
    await client.end();
  }
}

const rowsOf = (url: string): Promise<readonly object[]> =>
  query(
    url,
    `SELECT stream, tenant_id, seq, event_bytes, prev_hash, this_hash, occurred_at, received_at, duplicate
     FROM audit.sealed_records ORDER BY stream, seq`,
  );

test('a store comes back from the archive alone, equal to the first one and verified, also when it stops in between', async () => {
  const config = archiveConfig(s3);
  await makeLockedBucket(config);
  await using temp = await makeTempDir();
  const { records, trust } = await writeTrail(temp.path);
  await archiveTrail(config, temp.path, records);
  const original = createPostgresStore({
    url: postgres.url('writer'),
    ownerUrl: postgres.url('owner'),
  });
  expect((await original.migrate()).ok).toBe(true);
  expect(await original.appendRecords(records)).toMatchObject({ ok: true });
  await original.close();
  const before = await rowsOf(postgres.url('admin'));
  expect(before.length).toBe(records.length);

  await query(postgres.url('admin'), 'CREATE DATABASE fresh OWNER sealtrail_owner');
  const fresh = (role: TestRole): string => {
    const url = new URL(postgres.url(role));
    url.pathname = '/fresh';
    return url.href;
  };
  using client = archiveClient(config);
  const restoring = (target: RestoreTarget): Promise<Restoration> =>
    restoreArchive({ client, trust, target, nowMs: Date.now });
  const urls = { url: fresh('writer'), ownerUrl: fresh('owner') };
  // It stops in the middle: the third batch does not arrive.
  const whole = createStoreTarget(urls);
  let batches = 0;
  const cut: RestoreTarget = {
    ...whole,
    take: async (batch) =>
      (batches += 1) === 3 ? { kind: 'failed', reason: 'the power failed' } : whole.take(batch),
  };
  expect(await restoring(cut)).toMatchObject({
    verdict: 'cannot_tell',
    restored: 240,
    findings: [],
  });
  await whole.finish();
  const found = await restoring(createStoreTarget(urls));
  expect(found).toMatchObject({
    verdict: 'intact',
    is_trusted: true,
    records: records.length,
    present: 240,
    restored: records.length - 240,
    findings: [],
  });
  for (const { stream, records: all, checkpointed, verified_to } of found.streams)
    expect([verified_to, checkpointed], stream).toEqual([all - 1, all]);
  expect(await verifyStore({ url: fresh('admin') })).toMatchObject({
    verdict: 'intact',
    records: records.length,
  });
  expect(await rowsOf(fresh('admin'))).toEqual(before);
});

test('a ledger comes back byte for byte, and goes on where it stopped', async () => {
  const config = archiveConfig(s3);
  await makeLockedBucket(config);
  await using temp = await makeTempDir();
  const { records, trust } = await writeTrail(temp.path);
  await archiveTrail(config, temp.path, records);
  using client = archiveClient(config);
  const out = join(temp.path, 'restored');
  const restore = () =>
    restoreArchive({
      client,
      trust,
      target: createFolderTarget(nodeFilesystem, out, 64 * 1024),
      nowMs: Date.now,
    });
  expect(await restore()).toMatchObject({ verdict: 'intact', restored: records.length });
  const textOf = async (dir: string): Promise<string> => {
    const names = (await readdir(dir)).filter((name) => name.endsWith('.ndjson')).sort();
    return (await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8')))).join('');
  };
  expect((await readdir(out)).length).toBeGreaterThan(1);
  expect(await textOf(out)).toBe(await textOf(join(temp.path, 'ledger')));
  const { verdict, gaps } = await verifyLedger(out);
  expect([verdict, gaps]).toEqual(['intact', []]);
  expect((await restore()).verdict).toBe('intact');
  const [, last = ''] = (await readdir(out)).sort();
  await nodeFilesystem.replace(join(out, last), 'something else\n');
  expect(await restore()).toMatchObject({ verdict: 'broken', findings: [{ kind: 'refused' }] });
});

test('each object that was removed, changed, cut or added is named, and the rest is restored', async () => {
  const config = archiveConfig(s3);
  await makeLockedBucket(config);
  await using temp = await makeTempDir();
  const { records, trust } = await writeTrail(temp.path);
  await archiveTrail(config, temp.path, records);
  using client = archiveClient(config);
  const objects = new Map<string, Buffer>();
  for (const [key, { versions }] of (await readCatalog(client)).objects)
    objects.set(key, await readVersion(client, { key, versionId: versions[0]?.versionId ?? '' }));
  const keys = [...objects.keys()];
  const segment = keys.filter((key) => key.startsWith('segments/'))[1] ?? '';
  const manifest = keys.filter((key) => key.startsWith('manifests/'))[1] ?? '';

  // Where nothing is locked, anybody with the right can do all of it: a copy in a plain bucket.
  async function judge(
    change: (copy: Map<string, Buffer>) => void,
    who: Trust | null = trust,
  ): Promise<Restoration> {
    const copy = new Map(objects);
    change(copy);
    const plain = archiveConfig(s3);
    using to = archiveClient(plain);
    await to.run((sdk, client, options) =>
      client.send(new sdk.CreateBucketCommand({ Bucket: plain.bucket }), options),
    );
    await Promise.all(
      [...copy].map(([key, Body]) =>
        to.run((sdk, client, options) =>
          client.send(
            new sdk.PutObjectCommand({ Bucket: plain.bucket, Key: plain.prefix + key, Body }),
            options,
          ),
        ),
      ),
    );
    return restoreArchive({ client: to, trust: who, target: null, nowMs: Date.now });
  }
  const named = ({ verdict, findings }: Restoration) => [
    verdict,
    findings[0]?.kind,
    findings[0]?.object,
  ];

  expect((await judge(() => undefined)).verdict).toBe('intact');
  expect(named(await judge((copy) => copy.delete(segment)))).toEqual([
    'broken',
    'missing',
    segment,
  ]);
  expect(
    named(await judge((copy) => copy.set(segment, objects.get(segment)!.subarray(0, 500)))),
  ).toEqual(['broken', 'truncated', segment]);
  expect(named(await judge((copy) => copy.set(segment, objects.get(manifest)!)))).toEqual([
    'broken',
    'tampered',
    segment,
  ]);
  expect(named(await judge((copy) => copy.delete(manifest)))[1]).toBe('missing');
  const strange = 'segments/anything.txt';
  expect(named(await judge((copy) => copy.set(strange, Buffer.from('x'))))).toEqual([
    'broken',
    'extra',
    strange,
  ]);
  const forged = segment.replace(/\d{20}/, '9'.repeat(15).padStart(20, '0'));
  expect(named(await judge((copy) => copy.set(forged, objects.get(segment)!)))).toEqual([
    'broken',
    'extra',
    forged,
  ]);
});

test('a checkpoint that is anchored in a bucket stays the first of its size, and tells of a rollback and a fork', async () => {
  const config = archiveConfig(s3);
  await makeLockedBucket(config);
  using client = archiveClient(config);
  const log = createTestLog();
  const open = () =>
    comparing(
      createObjectAnchor(
        { ...config, name: 'worm', retain_days: 30 },
        { timeoutMs: 20_000, nowMs: Date.now },
      ),
      parseKeys([log.vkey]),
      true,
    );
  const anchor = open();
  const signal = AbortSignal.timeout(60_000);
  expect(await anchor.newest?.(await log.publication(3), signal)).toEqual({
    ok: true,
    value: null,
  });
  for (const size of [3, 9, 9, 80])
    expect(await anchor.publish(await log.publication(size), signal)).toMatchObject({
      ok: true,
      value: {
        kind: 'copy',
        anchor: 'object/worm',
        place: expect.stringContaining(`s3://${config.bucket}/`),
      },
    });
  const keys = await keysOf(client);
  expect(keys.map((key) => key.split('/').at(-1))).toEqual(
    [3, 9, 80].map((size) => String(size).padStart(20, '0')),
  );
  for (const key of keys) expect((await headObject(client, key))?.mode).toBe('COMPLIANCE');

  // Another process that is behind, one that went another way, and one that puts on top.
  expect(await open().newest?.(await log.publication(81), signal)).toMatchObject({
    ok: true,
    value: { size: 80n },
  });
  expect(await open().publish(await log.publication(9), signal)).toMatchObject({
    ok: false,
    error: {
      kind: 'conflict_size',
      held: { size: 80n, note: expect.stringContaining(log.origin) },
    },
  });
  for (const size of [80, 90])
    expect(await open().publish(await log.fork(5).publication(size), signal)).toMatchObject({
      ok: false,
      error: { kind: 'conflict_root', held: { size: 80n } },
    });
  const Key = config.prefix + (keys[2] ?? '');
  await client.run((sdk, to, options) =>
    to.send(new sdk.PutObjectCommand({ Bucket: config.bucket, Key, Body: 'forged' }), options),
  );
  await client.run((sdk, to, options) =>
    to.send(new sdk.DeleteObjectCommand({ Bucket: config.bucket, Key }), options),
  );
  const held = await open().newest?.(await log.publication(80), signal);
  expect(held).toMatchObject({
    ok: true,
    value: { size: 80n, note: (await log.publication(80)).note },
  });
  expect(await anchor.publish(await log.publication(91), signal)).toMatchObject({ ok: true });
  await anchor.close();
});
