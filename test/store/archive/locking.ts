/** What is locked stays: against a real S3 server with Object Lock (archive.test.ts starts it). */
import { expect } from 'vitest';
import type { S3ExporterConfig } from '../../../schemas/archive-config.ts';
import type { ArchiveClient } from '../../../store/archive/client.ts';
import { addHold, liftHold, listHolds } from '../../../store/archive/holds.ts';
import { headObject, listVersions, putLocked } from '../../../store/archive/objects.ts';
import type { Restoration } from '../../../store/archive/restoration.ts';
import { restoreArchive } from '../../../store/archive/restore.ts';
import { setupArchive, writerPolicyOf } from '../../../store/archive/setup.ts';
import {
  DAY_MS,
  DELIVERED,
  keysOf,
  openSink,
  sealers,
  type ArchiveTest,
} from '../../support/archive.ts';
import {
  archiveClient,
  archiveConfig,
  makeLockedBucket,
  refusalOf,
  type TestS3,
} from '../../support/s3.ts';
import { eventually } from '../../support/eventually.ts';
import { sealedRecords, send } from '../../support/sinks.ts';

/** The server counts in whole ones. */
const SECOND_MS = 1_000;

/** `s3`: the server, once it is there. */
export function testLocking(test: ArchiveTest, s3: () => TestS3): void {
  /** The rights that `sealtrail setup archive --policy` prints, given to the writer as they are. */
  async function grantWriter(owner: ArchiveClient, config: S3ExporterConfig): Promise<void> {
    const Principal = { AWS: [`arn:aws:iam:::user/${s3().writer.user}`] };
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

  const asAdmin = (config: S3ExporterConfig): S3ExporterConfig => {
    const { user: _user, ...credentials } = s3().admin;
    return { ...config, ...credentials };
  };

  test('what is archived is readable, and nobody deletes, overwrites or shortens it: not the writer, not the owner, not an admin', async () => {
    const config = archiveConfig(s3());
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

    const restore = (asOf?: Date): Promise<Restoration> =>
      restoreArchive({
        ...{ client: writer, trust: null, target: null, nowMs: Date.now },
        ...(asOf !== undefined && { asOf }),
      });
    const found = await restore();
    expect(found).toMatchObject({ verdict: 'broken', records: 20 });
    expect(found.streams.map(({ verified_to }) => verified_to)).toEqual([9, 9]);
    expect(found.findings.map(({ kind, object }) => [kind, object])).toEqual([
      ['hidden', key],
      ['overwritten', key],
    ]);

    // Somebody puts something on top of the marker: before that it was hidden.
    const { value: versions = [] } = await listVersions(owner, key).next();
    const hiddenAt = versions.find(({ isDeleteMarker }) => isDeleteMarker)?.modified;
    await owner.run((sdk, to, options) =>
      to.send(new sdk.PutObjectCommand({ ...where, Body: 'forged again' }), options),
    );
    expect((await restore()).findings.map(({ kind }) => kind)).toEqual(['overwritten']);
    expect((await restore(hiddenAt)).findings.map(({ kind }) => kind)).toEqual([
      ...['hidden', 'overwritten'],
    ]);
  });

  test('in governance mode the right to bypass deletes, in compliance mode nothing does, and after the date both go', async () => {
    const config = archiveConfig(s3());
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
    // So brief that its end is seen, and so long that a slow machine asks before it.
    for (let ms = 2_000, isSeen = false; !isSeen; ms *= 2) {
      const key = `brief-${ms}`;
      const endsMs = Date.now() + ms;
      const versionId = await putLocked(client, config, object(key, ms)).then(
        (put) => put.versionId,
        (error: unknown) => {
          // A lock that would be over already is none to a server.
          if (Date.now() < endsMs) throw error;
          return null;
        },
      );
      if (versionId === null) continue;
      const refused = await remove(key, versionId, true);
      isSeen = Date.now() < endsMs - SECOND_MS;
      if (isSeen) expect(refused).toBe('AccessDenied');
      if (refused === null) continue;
      await eventually(async () => expect(await remove(key, versionId, false)).toBeNull(), 200);
    }
  });

  test('a legal hold keeps an object beyond its date, and the last matter that is lifted frees it', async () => {
    const config = archiveConfig(s3(), { lock_mode: 'governance' });
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
    expect(
      await addHold(options, { matter: 'm-3', filter: { tenant: 'globex' }, ...said }),
    ).toEqual({
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
}
