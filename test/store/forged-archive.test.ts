/** Archives that somebody made up, cut or filled, by a peer that keeps nobody from it: none of it is told to be whole. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeliveryRecord } from '../../agent/ports.ts';
import { formatRecord, splitRecord } from '../../ledger/frame.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { rehash } from '../../ledger/content-check.ts';
import type { Trust } from '../../ledger/trust.ts';
import { chainHash, type ChainHash } from '../../schemas/brand.ts';
import type { S3ExporterConfig } from '../../schemas/archive-config.ts';
import { createAnchorObjects } from '../../store/archive/anchor-objects.ts';
import { openObject } from '../../store/archive/catalog.ts';
import { addHold, listHolds } from '../../store/archive/holds.ts';
import { digestOf } from '../../store/archive/layout.ts';
import type { Manifest } from '../../store/archive/manifest.ts';
import { createFolderTarget } from '../../store/archive/restore-targets.ts';
import type { Restoration, RestoreTarget } from '../../store/archive/restoration.ts';
import { restoreArchive, type RestoreOptions } from '../../store/archive/restore.ts';
import { archiveTrail, openSink, writeTrail } from '../support/archive.ts';
import { makeTempDir } from '../support/ledger.ts';
import { archiveClient, archiveConfig } from '../support/s3.ts';
import { startS3Peer, type S3Peer } from '../support/s3-peer.ts';
import { send } from '../support/sinks.ts';
import { createTestLog } from '../support/witness.ts';

const PREFIX = 'sealtrail/';
const configOf = (peer: S3Peer): S3ExporterConfig =>
  archiveConfig(
    { endpoint: peer.url, writer: { user: 'w', access_key_id: 'key', secret_access_key: 's' } },
    { bucket: 'archive' },
  );

/** When the archive was written, and when somebody began to put there what he liked. */
const [ARCHIVED, ATTACKED] = [new Date('2026-03-01T00:00:00Z'), new Date('2026-04-01T00:00:00Z')];

let temp: Awaited<ReturnType<typeof makeTempDir>>;
let trail: { records: readonly DeliveryRecord[]; trust: Trust };
/** What the genuine archive of the trail holds, without the prefix. */
let genuine: ReadonlyMap<string, Buffer>;

beforeAll(async () => {
  temp = await makeTempDir();
  trail = await writeTrail(temp.path);
  await using peer = await startS3Peer();
  await archiveTrail(configOf(peer), temp.path, trail.records);
  genuine = new Map([...peer.stored].map(([key, body]) => [key.slice(PREFIX.length), body]));
});
afterAll(() => temp[Symbol.asyncDispose]());

type Objects = Map<string, Buffer>;

async function judge(
  change: (objects: Objects) => void,
  over: Partial<Pick<RestoreOptions, 'target' | 'trust' | 'nowMs' | 'asOf'>> = {},
): Promise<Restoration> {
  await using peer = await startS3Peer();
  const objects = new Map(genuine);
  change(objects);
  for (const [key, body] of objects)
    peer.put(PREFIX + key, body, genuine.has(key) ? ARCHIVED : ATTACKED);
  using client = archiveClient(configOf(peer));
  return await restoreArchive({
    client,
    trust: trail.trust,
    target: null,
    nowMs: Date.now,
    ...over,
  });
}

const textOf = (body: Buffer | undefined): string => gunzipSync(body ?? '').toString('utf8');
const manifestsOf = (objects: Objects): readonly (readonly [string, Manifest])[] =>
  [...objects]
    .filter(([key]) => key.startsWith('manifests/'))
    .map(([key, body]) => [key, JSON.parse(textOf(body)) as Manifest] as const);

/** Puts a content under the key that names it, as everybody can who may put. */
function put(objects: Objects, likeKey: string, content: string): string {
  const key = likeKey.replace(/-[0-9a-f]{32}\./, `-${digestOf(Buffer.from(content))}.`);
  objects.set(key, gzipSync(content));
  return key;
}

function putManifest(objects: Objects, likeKey: string, manifest: Manifest): string {
  return put(objects, likeKey, `${JSON.stringify(manifest)}\n`);
}

/** Seals every stream anew, with one event changed. */
function forge(objects: Objects): void {
  const heads = new Map<string, ChainHash>();
  const keys = new Map<string, string>();
  const segments = [...objects.keys()].filter((key) => key.startsWith('segments/')).sort();
  for (const key of segments) {
    const lines = textOf(objects.get(key)).trimEnd().split('\n');
    const forged = lines.map((line) => {
      const record = splitRecord(line);
      if (record === null) throw new Error('no record');
      const text = record.eventText.replace('"id":"c-7"', '"id":"c-8"');
      const { stream } = (JSON.parse(text) as { chain: { stream: string } }).chain;
      const head = heads.get(stream) ?? record.prev_hash;
      const hash = chainHash(rehash(head, text));
      heads.set(stream, hash);
      return formatRecord(text, head, hash);
    });
    keys.set(key, put(objects, key, forged.join('')));
    objects.delete(key);
  }
  for (const [key, manifest] of manifestsOf(objects)) {
    objects.delete(key);
    const renamed = manifest.segments.map((one) => ({ ...one, key: keys.get(one.key) ?? '' }));
    putManifest(objects, key, { ...manifest, segments: renamed });
  }
}

test('whoever asks for signatures is not told that an archive which nobody has signed is whole', async () => {
  const all = trail.records.length;
  expect(await judge(() => undefined)).toMatchObject({ verdict: 'intact', records: all });
  const strip = (objects: Objects): void => {
    for (const [key, manifest] of manifestsOf(objects)) {
      objects.delete(key);
      putManifest(objects, key, { ...manifest, checkpoints: [] });
    }
  };
  const unsigned = await judge((objects) => {
    forge(objects);
    strip(objects);
  });
  expect(unsigned).toMatchObject({ verdict: 'cannot_tell', findings: [] });
  expect(unsigned.notes.join('\n')).toContain('no checkpoint that a trusted key has signed');
  // With the checkpoints left in it the forgery shows, and nothing of its stream is handed on from there.
  const taken: string[] = [];
  const target: RestoreTarget = {
    take: (records) => {
      taken.push(...records.map(({ event }) => event.chain.stream));
      return Promise.resolve({ kind: 'taken', restored: records.length, present: 0 });
    },
    finish: () => Promise.resolve({ kind: 'taken', restored: 0, present: 0 }),
    close: () => Promise.resolve(),
  };
  const forged = await judge(forge, { target });
  expect(forged.verdict).toBe('broken');
  const streams = new Set(forged.findings.map(({ kind, stream }) => `${kind} ${stream}`));
  expect([...streams].every((one) => one.startsWith('root_differs '))).toBe(true);
  for (const { stream, records } of forged.streams)
    if (streams.has(`root_differs ${stream}`))
      expect(taken.filter((one) => one === stream).length, stream).toBeLessThan(records);
});

test('a manifest that hides records does not stand for the batch: they are restored all the same', async () => {
  for (const hide of ['order', 'range'] as const) {
    const found = await judge((objects) => {
      const [key, manifest] = manifestsOf(objects).at(-1) ?? ['', null];
      if (manifest === null) throw new Error('no manifest');
      const [run, ...order] = manifest.order.toReversed();
      if (run === undefined) throw new Error('no run');
      // It begins where the genuine one does and claims more, so it comes first; the last records it places nowhere.
      putManifest(objects, key, {
        ...manifest,
        to: manifest.to + 1,
        order: hide === 'order' ? order.toReversed() : manifest.order,
        checkpoints: [],
      });
    });
    expect(found, hide).toMatchObject({ verdict: 'broken', records: trail.records.length });
    expect(found.findings.map(({ kind }) => kind)).toEqual(['tampered']);
    for (const { records, checkpointed } of found.streams) expect(checkpointed).toBe(records);
  }
});

test('who may put can spoil an archive as it stands, and not as it stood before', async () => {
  const spoil = (objects: Objects): void => {
    const [key, manifest] = manifestsOf(objects)[0] ?? ['', null];
    if (manifest === null) throw new Error('no manifest');
    // Genuine segments, said to hold more than they do: so it stands before the genuine manifest, which says no more.
    const segments = manifest.segments.map((one) => ({ ...one, records: one.records + 5 }));
    const order = segments.map(({ records }, at) => [at, records] as const).toReversed();
    const to = manifest.from + order.reduce((sum, [, records]) => sum + records, 0);
    putManifest(objects, key, { ...manifest, segments, order, to });
  };
  const spoiled = await judge(spoil);
  expect(spoiled.verdict).toBe('broken');
  expect(spoiled.findings).toContainEqual(
    expect.objectContaining({
      kind: 'tampered',
      message: expect.stringContaining('which holds') as string,
    }),
  );
  expect(await judge(spoil, { asOf: new Date('2026-03-15T00:00:00Z') })).toMatchObject({
    ...{ verdict: 'intact', findings: [], records: trail.records.length },
  });
});

test('what speaks against an archive is told also where it cannot be read to its end', async () => {
  const [key = ''] = [...genuine.keys()].filter((one) => one.startsWith('segments/'));
  const failing: RestoreTarget = {
    take: () => Promise.resolve({ kind: 'failed', reason: 'the power failed' }),
    finish: () => Promise.resolve({ kind: 'taken', restored: 0, present: 0 }),
    close: () => Promise.resolve(),
  };
  const change = (objects: Objects): void => {
    const text = textOf(objects.get(key)).replace('"id":"c-', '"id":"d-');
    const renamed = put(objects, key, text);
    objects.delete(key);
    for (const [name, manifest] of manifestsOf(objects)) {
      const segments = manifest.segments.map((one) =>
        one.key === key ? { ...one, key: renamed } : one,
      );
      objects.delete(name);
      putManifest(objects, name, { ...manifest, segments });
    }
  };
  const found = await judge(change, { target: failing });
  expect(found.verdict).toBe('broken');
  expect(found.findings.map(({ kind }) => kind)).toEqual(['modified']);
  expect(await judge(() => undefined, { target: failing })).toMatchObject({
    verdict: 'cannot_tell',
    findings: [],
  });
});

test('a folder that holds segments of another ledger is refused', async () => {
  await using folder = await makeTempDir();
  const out = join(folder.path, 'out');
  await mkdir(out);
  await writeFile(join(out, `${'9'.padStart(20, '0')}.ndjson`), 'of another ledger\n');
  const target = createFolderTarget(nodeFilesystem, out);
  expect(await judge(() => undefined, { target })).toMatchObject({
    verdict: 'broken',
    findings: [{ kind: 'refused' }],
  });
});

test('an object that has gone between two questions is not taken for archived, and one that is huge is not read', async () => {
  await using peer = await startS3Peer();
  const config = configOf(peer);
  const records = trail.records.slice(0, 20);
  const sink = openSink(config, temp.path);
  expect(await send(sink, records)).toMatchObject({ kind: 'delivered' });
  peer.conceal('/segments/');
  for (const key of peer.stored.keys()) if (key.includes('/manifests/')) peer.put(key, null);
  expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
  await sink.close();
  const client = {
    address: config,
    run: () => Promise.reject(new Error('it was read')),
    close: () => undefined,
  };
  const named = { kind: 'manifest', agent: 'a', first: 0, digest: '0'.repeat(32) } as const;
  const version = { key: 'k', versionId: 'v', bytes: 2 ** 40, etag: '"e"', isLatest: true };
  const huge = { ...version, isDeleteMarker: false, modified: new Date(0) };
  expect(
    await openObject(client, { key: 'k', named, versions: [huge], isHidden: false }),
  ).toMatchObject({ ok: false, error: { kind: 'tampered' } });
});

test('a checkpoint that a server took without its lock is not anchored by the second try either', async () => {
  await using peer = await startS3Peer();
  const config = configOf(peer);
  using client = archiveClient(config);
  const objects = createAnchorObjects(client, { ...config, retain_days: 30 }, Date.now);
  const { checkpoint, note } = await createTestLog().publication(3);
  expect(await objects.insert(checkpoint.origin, 3n, note)).toMatchObject({ note });
  peer.dropLocks();
  for (let tries = 0; tries < 2; tries += 1)
    await expect(objects.insert(checkpoint.origin, 4n, note)).rejects.toMatchObject({
      code: 'NotLocked',
    });
});

test('a hold on a time that no record can be compared with is refused, and a forged one ends nothing', async () => {
  await using peer = await startS3Peer();
  const config = configOf(peer);
  using client = archiveClient(config);
  const options = { client, lock: config, retainDays: 30, nowMs: Date.now };
  const said = { matter: 'm-1', reason: 'r', by: 'b' };
  for (const from of ['1 March 2026', '2026-03', '2026-03-01T00:00:00+01:00'])
    expect(await addHold(options, { ...said, filter: { from } }), from).toMatchObject({
      ok: false,
    });
  expect(await addHold(options, { ...said, filter: { from: '2026-03-01' } })).toMatchObject({
    ok: true,
  });
  for (const text of ['1', '{}', '{"matter":"m-2","reason":"r","by":"b","at":"2026"}', 'no'])
    peer.put(`${PREFIX}holds/m-2/${digestOf(Buffer.from(text))}-add.json`, Buffer.from(text));
  expect((await listHolds(client)).map(({ matter }) => matter)).toEqual(['m-1']);
});
