/**
 * Torn tails through everything that meets them: recovery, the append stage and the producer that
 * sends again. (What recovery alone decides is in test/ledger/recovery.test.ts.)
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { ulid } from 'ulid';
import { beforeAll, describe, expect, test } from 'vitest';
import { openLedger } from '../../agent/append/open.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { segmentName } from '../../ledger/segment.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { admitted, createCountingMeter, silentLog } from '../support/append-stage.ts';
import { makeEvent } from '../support/events.ts';
import { makeMemoryDir, TEST_AGENT } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';

const PAGE_BYTES = 4096;
/** Restarts at one time, in folders of their own: most of their time is the disk's. */
const AT_ONCE = 8;
const PRODUCER = ulid();

async function open(dir: string) {
  const opened = await openLedger({
    dir,
    config: {
      segment_bytes: 1 << 26,
      batch_bytes_max: 1 << 20,
      queue_events_max: 1000,
      reserve_bytes: 1024,
    },
    agent: TEST_AGENT,
    meter: createCountingMeter(),
    log: silentLog,
    nowMs: Date.now,
    onDurable: () => undefined,
    onFailed: (reason) => {
      throw new Error(reason);
    },
    // What is under test is which bytes are there; a power cut is not simulated by fsync.
    filesystem: {
      ...nodeFilesystem,
      open: async (path) => ({ ...(await nodeFilesystem.open(path)), sync: async () => undefined }),
      syncDir: async () => undefined,
    },
  });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}

/** Two batches of one producer, the second one last in the file. */
interface Sealed {
  readonly first: readonly AuditEvent[];
  readonly last: readonly AuditEvent[];
  readonly bytes: Buffer;
  /** Where the last batch begins. */
  readonly ackedBytes: number;
}

async function seal(last: readonly AuditEvent[]): Promise<Sealed> {
  await using temp = await makeMemoryDir();
  const first = [makeEvent(), makeEvent()];
  const ledger = await open(temp.path);
  await ledger.append.append({ producer: PRODUCER, firstSeq: 0, events: first.map(admitted) });
  const ackedBytes = ledger.append.status().ledger_bytes;
  await ledger.append.append({ producer: PRODUCER, firstSeq: 2, events: last.map(admitted) });
  await ledger.close();
  return { first, last, bytes: await readFile(join(temp.path, segmentName(0))), ackedBytes };
}

/** Starts on these bytes, as an agent does, with a producer that sends its last batch again. */
async function restartOn(dir: string, bytes: Uint8Array, sealed: Sealed): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, segmentName(0)), bytes);
  const ledger = await open(dir);
  const resend = { producer: PRODUCER, firstSeq: 2, events: sealed.last.map(admitted) };
  const outcomes = await ledger.append.append(resend);
  await ledger.close();

  const records = await readRecords(dir);
  const own = records.filter(({ event }) => event.chain.producer.id === PRODUCER);
  const wanted = [...sealed.first, ...sealed.last].map(({ event_id }) => event_id);
  expect(own.map(({ event }) => event.event_id)).toEqual(wanted);
  expect(outcomes.map((outcome) => outcome.kind !== 'refused' && outcome.receipt)).toEqual(
    own.slice(2).map(({ event, this_hash }) => ({
      stream: event.chain.stream,
      seq: event.chain.seq,
      this_hash,
    })),
  );
  const recovered = records.filter(({ event }) => event.event.action === 'ledger.recovered');
  const { torn } = ledger;
  expect(recovered.map(({ event }) => event.metadata)).toEqual(
    torn === null
      ? []
      : [{ byte: torn.byte, bytes: torn.bytes, kept_in: torn.kept_in, sha256: torn.sha256 }],
  );
  expect(torn === null || torn.byte >= sealed.ackedBytes, 'nothing acked is cut off').toBe(true);
  expect(await verifyLedger(dir)).toMatchObject({ verdict: 'intact', gaps: [] });
}

describe('a batch torn at every one of its bytes is sent again and recorded once', () => {
  let sealed: Sealed;
  beforeAll(async () => {
    sealed = await seal([makeEvent({ metadata: { text: 'ü€😀' } })]);
  });

  /** What stands behind the cut tells nothing by its length: there a sample of places is enough. */
  const SAMPLED = 7;
  test.each([
    ['the file ends there', 1, (bytes: Buffer, at: number) => bytes.subarray(0, at)],
    ['NUL bytes follow', 1, (bytes: Buffer, at: number) => Buffer.from(bytes).fill(0, at)],
    ['other bytes follow', SAMPLED, (bytes: Buffer, at: number) => Buffer.from(bytes).fill(66, at)],
  ])('%s', async (_, step, damage) => {
    await using temp = await makeMemoryDir();
    const places: number[] = [];
    for (let at = sealed.ackedBytes; at < sealed.bytes.length; at += step) places.push(at);
    while (places.length > 0)
      await Promise.all(
        places
          .splice(0, AT_ONCE)
          .map((at) => restartOn(join(temp.path, String(at)), damage(sealed.bytes, at), sealed)),
      );
  });
});

test('whichever pages of a large last batch never reached the disk, it is recorded once', async () => {
  const sealed = await seal(
    Array.from({ length: 30 }, (_, n) => makeEvent({ metadata: { n, text: 'x'.repeat(n * 20) } })),
  );
  const firstPage = Math.floor(sealed.ackedBytes / PAGE_BYTES);
  const pages = Math.ceil(sealed.bytes.length / PAGE_BYTES) - firstPage;
  await using temp = await makeMemoryDir();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: pages, maxLength: pages }),
      async (reached) => {
        const bytes = Buffer.from(sealed.bytes);
        for (const [page, isThere] of reached.entries()) {
          const start = Math.max(sealed.ackedBytes, (firstPage + page) * PAGE_BYTES);
          const end = Math.min(bytes.length, (firstPage + page + 1) * PAGE_BYTES);
          if (!isThere) bytes.fill(0, start, end);
        }
        await restartOn(join(temp.path, String(run++)), bytes, sealed);
      },
    ),
    { numRuns: 100 },
  );
});

test('garbage in whole lines is no torn tail: nothing is appended, the place is named, the file stays', async () => {
  const sealed = await seal([makeEvent(), makeEvent()]);
  await using temp = await makeMemoryDir();
  const path = join(temp.path, segmentName(0));
  const bytes = Buffer.from(sealed.bytes);
  bytes.fill('garbage\n', sealed.ackedBytes);
  await writeFile(path, bytes);
  const before = await readdir(temp.path);
  await expect(open(temp.path)).rejects.toThrow(
    new RegExp(`corrupt at ${segmentName(0)}, line \\d+ \\(byte ${sealed.ackedBytes}\\)`),
  );
  expect((await readFile(path)).equals(bytes)).toBe(true);
  expect(await readdir(temp.path)).toEqual(before);
});
