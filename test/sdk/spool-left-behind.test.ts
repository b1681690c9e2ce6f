/** A spool that another process left behind: taken over, drained in its order, each event once. */
import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { expect, it } from 'vitest';
import { readSpool } from '../../sdk/spool-format.ts';
import {
  channelOf,
  idsOf,
  leaveSpool,
  LOGIN,
  openAudit,
  spoolFiles,
  startPeer,
  useSpooling,
  whenever,
} from '../support/spooling.ts';

const spooling = useSpooling();
type Left = ReturnType<typeof leaveSpool>;
/** An answer may be long in coming: what is sent a second time for that would be counted twice. */
const PATIENT = { timeoutMs: 30_000 };

it('a spool left behind is taken over, drained in order under its own numbers, and removed', async () => {
  const left = leaveSpool(spooling.spoolDir, 50);
  const peer = await startPeer(spooling);
  const audit = openAudit(spooling);
  await whenever(() => audit.stats().spool?.drained).toBe(50);
  expect(idsOf(peer)).toEqual(left.ids);
  await whenever(() => readdirSync(spooling.spoolDir)).toEqual([]);
  const { producer } = readSpool(left.bytes);
  expect(new Set(peer.appended.map((one) => one.producer))).toEqual(new Set([producer]));
});

it('a spool left behind is in the ledger once when it is drained again, as after a kill before it was removed', async () => {
  const left = leaveSpool(spooling.spoolDir, 30);
  const peer = await startPeer(spooling);
  const first = openAudit(spooling, PATIENT);
  await whenever(() => first.stats().spool?.drained).toBe(30);
  await whenever(() => spoolFiles(spooling.spoolDir)).toEqual([]);
  await first.close();
  mkdirSync(join(left.path, '..'), { recursive: true });
  writeFileSync(left.path, left.bytes);
  const second = openAudit(spooling, PATIENT);
  await whenever(() => second.stats().spool?.drained).toBe(30);
  expect(peer.arrivals).toHaveLength(60);
  expect(idsOf(peer)).toEqual(left.ids);
});

it('a spool left behind is left alone while its owner lives', async () => {
  const owner = openAudit(spooling, PATIENT);
  const { event_id } = await owner.record(LOGIN);
  const other = openAudit(spooling, PATIENT);
  await other.record(LOGIN);
  const peer = await startPeer(spooling);
  await whenever(() => owner.stats().spool?.drained).toBe(1);
  await whenever(() => other.stats().spool?.drained).toBe(1);
  expect(idsOf(peer)).toContain(event_id);
  expect(peer.arrivals).toHaveLength(2);
});

it('a spool left behind is let go by close() and drained by the next one', async () => {
  const first = openAudit(spooling);
  const { event_id } = await first.record(LOGIN);
  await first.close();
  const peer = await startPeer(spooling);
  const second = openAudit(spooling);
  await whenever(() => second.stats().spool?.drained).toBe(1);
  expect(idsOf(peer)).toEqual([event_id]);
});

it('a spool left behind with damage in the middle: the rest is drained, the file is set aside, and it is told', async () => {
  const left = leaveSpool(spooling.spoolDir, 3);
  const at = left.bytes.indexOf(left.ids[1] ?? '');
  left.bytes[at] = left.bytes[at]! ^ 1;
  writeFileSync(left.path, left.bytes);
  const peer = await startPeer(spooling);
  const audit = openAudit(spooling);
  await whenever(() => audit.stats().spool?.drained).toBe(2);
  expect(idsOf(peer)).toEqual([left.ids[0], left.ids[2]]);
  await whenever(() => readdirSync(join(spooling.spoolDir, 'set-aside'))).toHaveLength(1);
  await whenever(() => channelOf(spooling.spoolDir)).toMatchObject([
    { kind: 'spool_damaged', corrupt_lines: 1 },
  ]);
});

it('a spool left behind with an event that the agent refuses for good: set aside and told, the rest is drained', async () => {
  const left = leaveSpool(spooling.spoolDir, 3);
  const peer = await startPeer(spooling, {
    refuse: ({ text }) =>
      text.includes(left.ids[1] ?? '') ? { kind: 'unknown_tenant', message: 'unknown' } : null,
  });
  const audit = openAudit(spooling);
  await whenever(() => audit.stats().spool?.drained).toBe(3);
  expect(idsOf(peer)).toEqual([left.ids[0], left.ids[2]]);
  await whenever(() => readdirSync(join(spooling.spoolDir, 'set-aside'))).toHaveLength(1);
  await whenever(() => channelOf(spooling.spoolDir)).toMatchObject([
    { kind: 'spool_refused', event_id: left.ids[1], code: 'unknown_tenant' },
  ]);
});

it('a spool left behind cut off at any byte of its last batch: what was whole before is there, and half a line is not', async () => {
  const { bytes, ids } = leaveSpool(spooling.spoolDir, 6);
  const whole = readSpool(bytes);
  expect(whole).toMatchObject({ tornBytes: 0, corruptLines: 0 });
  const batchStart = whole.events[3]!.start - 9;
  const ends = whole.events.map(({ end }) => end + 1);
  for (let cut = batchStart; cut <= bytes.length; cut++) {
    const { events, corruptLines, producer } = readSpool(bytes.subarray(0, cut));
    const expected = ends.filter((end) => end <= cut).length;
    expect([cut, events.map(({ event_id }) => event_id)]).toEqual([cut, ids.slice(0, expected)]);
    expect([producer, corruptLines]).toEqual([whole.producer, 0]);
  }
  // A tear that a file system filled with zeros, as after a power cut.
  const zeros = Buffer.from(bytes).fill(0, batchStart + 20);
  expect(readSpool(zeros).events).toHaveLength(3);
  expect(readSpool(bytes.subarray(0, 5))).toMatchObject({ producer: null, events: [] });
});

it('a spool left behind with a torn last line is drained as far as it is whole', async () => {
  const left = leaveSpool(spooling.spoolDir, 3);
  writeFileSync(left.path, left.bytes.subarray(0, -7));
  const peer = await startPeer(spooling);
  const audit = openAudit(spooling);
  await whenever(() => audit.stats().spool?.drained).toBe(2);
  await whenever(() => spoolFiles(spooling.spoolDir)).toEqual([]);
  expect(idsOf(peer)).toEqual(left.ids.slice(0, 2));
});

it('a folder that cannot be taken over keeps no other one waiting, and is drained once it can be', async () => {
  const [before, between, behind] = [1, 2, 3].map((at) =>
    leaveSpool(spooling.spoolDir, 2, ulid(at)),
  ) as [Left, Left, Left];
  const note = join(between.path, '..', 'owner.json');
  mkdirSync(note);
  const peer = await startPeer(spooling);
  const audit = openAudit(spooling);
  const ids = [...before.ids, ...behind.ids];
  await whenever(() => audit.stats().spool?.drained).toBe(ids.length);
  expect(idsOf(peer)).toEqual(ids);
  rmdirSync(note);
  await whenever(() => idsOf(peer)).toEqual([...ids, ...between.ids]);
});
