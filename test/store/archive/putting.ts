/** What is put arrives, or it is said why not: against a real S3 server with Object Lock (archive.test.ts starts it). */
import { expect } from 'vitest';
import { comparing } from '../../../agent/checkpoint/anchors/compare.ts';
import { parseKeys } from '../../../agent/checkpoint/anchors/begin.ts';
import { createObjectAnchor } from '../../../agent/checkpoint/anchors/object.ts';
import { headObject } from '../../../store/archive/objects.ts';
import { restoreArchive } from '../../../store/archive/restore.ts';
import {
  DAY_MS,
  DELIVERED,
  keysOf,
  openSink,
  sealers,
  type ArchiveTest,
} from '../../support/archive.ts';
import { archiveClient, archiveConfig, makeLockedBucket, type TestS3 } from '../../support/s3.ts';
import { sealedRecords, send } from '../../support/sinks.ts';
import { createTestLog } from '../../support/witness.ts';

/** `s3`: the server, once it is there. */
export function testPutting(test: ArchiveTest, s3: () => TestS3): void {
  test('an object beyond the limit goes in parts, and is locked for as long as one in one piece', async () => {
    const config = archiveConfig(s3(), { retain_days: { standard: 30 } });
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
    const config = archiveConfig(s3());
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
    await s3().setKey(s3().writer, false);
    // A gateway that stands still hears of a change of its users later.
    await expect.poll(reasonOf).toMatch(/unknown or revoked/);
    await s3().setKey(s3().writer, true);
    await expect.poll(reasonOf).toBe('delivered');
    await sink.close();
  });

  test('a checkpoint that is anchored in a bucket stays the first of its size, and tells of a rollback and a fork', async () => {
    const config = archiveConfig(s3());
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
    const { signal } = new AbortController();
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

  test('a batch that comes again after a crash adds no object, wherever it is cut, and another content stands beside it', async () => {
    const config = archiveConfig(s3());
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
}
