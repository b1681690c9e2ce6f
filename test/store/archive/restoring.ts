/** A store and a ledger come back from the archive alone (archive.test.ts starts the servers). */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import type { Trust } from '../../../ledger/trust.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { createPostgresStore } from '../../../store/postgres.ts';
import { verifyStore } from '../../../store/verify-store.ts';
import { readCatalog } from '../../../store/archive/catalog.ts';
import { readVersion } from '../../../store/archive/objects.ts';
import { createFolderTarget, createStoreTarget } from '../../../store/archive/restore-targets.ts';
import type { Restoration, RestoreTarget } from '../../../store/archive/restoration.ts';
import { restoreArchive } from '../../../store/archive/restore.ts';
import { archiveTrail, writeTrail, type ArchiveTest } from '../../support/archive.ts';
import { createSealer } from '../sealed.ts';
import { makeTempDir } from '../../support/ledger.ts';
import type { TestPostgres, TestRole } from '../../support/postgres.ts';
import { archiveClient, archiveConfig, makeLockedBucket, type TestS3 } from '../../support/s3.ts';

/** `s3`, `postgres`: the servers, once they are there. */
export function testRestoring(
  test: ArchiveTest,
  s3: () => TestS3,
  postgres: () => TestPostgres,
): void {
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
    const config = archiveConfig(s3());
    await makeLockedBucket(config);
    await using temp = await makeTempDir();
    const { records, trust } = await writeTrail(temp.path);
    await archiveTrail(config, temp.path, records);
    const original = createPostgresStore({
      url: postgres().url('writer'),
      ownerUrl: postgres().url('owner'),
    });
    expect((await original.migrate()).ok).toBe(true);
    expect(await original.appendRecords(records)).toMatchObject({ ok: true });
    await original.close();
    const before = await rowsOf(postgres().url('admin'));
    expect(before.length).toBe(records.length);

    await query(postgres().url('admin'), 'CREATE DATABASE fresh OWNER sealtrail_owner');
    const fresh = (role: TestRole): string => {
      const url = new URL(postgres().url(role));
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
    await whole.close();
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

    // A store that goes on where the archive ends, and has one record in it that was changed.
    const other = createSealer('sealtrail/test/inc/t/standard');
    const genuine = Array.from({ length: 8 }, () => other.seal());
    const forger = createSealer(other.stream, 'acme', genuine[4]);
    const forged = [...genuine.slice(0, 5), ...Array.from({ length: 6 }, () => forger.seal())];
    const filled = createStoreTarget(urls);
    expect(await filled.take(forged)).toMatchObject({ kind: 'taken', restored: 11 });
    expect(await filled.take(genuine.slice(0, 5))).toMatchObject({ kind: 'taken', present: 5 });
    expect(await filled.take(genuine)).toMatchObject({ kind: 'refused' });
    await filled.close();
  });

  test('a ledger comes back byte for byte, and goes on where it stopped', async () => {
    const config = archiveConfig(s3());
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
    const config = archiveConfig(s3());
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
      const plain = archiveConfig(s3());
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
}
