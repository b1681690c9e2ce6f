/** Opening the ledger as the agent does, after whatever ended the run before. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ulid } from 'ulid';
import { openLedger, type OpenedLedger } from '../../../agent/append/open.ts';
import { segmentName } from '../../../ledger/segment.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { admitted, createCountingMeter, silentLog } from '../../support/append-stage.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir, TEST_AGENT } from '../../support/ledger.ts';

async function openIn(dir: string, failures: string[] = []): Promise<OpenedLedger> {
  const opened = await openLedger({
    dir,
    config: {
      segment_bytes: 1 << 26,
      batch_bytes_max: 65_536,
      queue_events_max: 1000,
      reserve_bytes: 65_536,
    },
    agent: TEST_AGENT,
    meter: createCountingMeter(),
    log: silentLog,
    nowMs: Date.now,
    onDurable: () => undefined,
    onFailed: (reason) => failures.push(reason),
  });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}

const large = (): ReturnType<typeof admitted>[] =>
  Array.from({ length: 20 }, () => admitted(makeEvent({ metadata: { text: 'x'.repeat(30_000) } })));

test('a hole in a batch larger than batch_bytes_max is its torn tail all the same', async () => {
  await using temp = await makeTempDir();
  const producer = ulid();
  const first = await openIn(temp.path);
  await first.append.append({ producer, firstSeq: 0, events: [admitted(makeEvent())] });
  const ackedBytes = first.append.status().ledger_bytes;
  await first.append.append({ producer, firstSeq: 1, events: large() });
  await first.close();
  const path = join(temp.path, segmentName(0));
  const handle = await open(path, 'r+');
  await handle.write(Buffer.alloc(4096), 0, 4096, ackedBytes + 100);
  await handle.close();

  const second = await openIn(temp.path);
  expect(second.torn).toMatchObject({ byte: ackedBytes });
  await second.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact' });
});

test('once halted nothing more is written, not even what was queued', async () => {
  await using temp = await makeTempDir();
  const failures: string[] = [];
  const ledger = await openIn(temp.path, failures);
  const producer = ulid();
  await ledger.append.append({ producer, firstSeq: 0, events: [admitted(makeEvent())] });
  const path = join(temp.path, segmentName(0));
  const before = await readFile(path);
  const queued = ledger.append.append({ producer, firstSeq: 1, events: [admitted(makeEvent())] });
  ledger.append.halt('another process took the folder');
  expect(await queued).toMatchObject([{ kind: 'refused', refusal: { kind: 'storage_failed' } }]);
  const own = { type: 'agent', id: 'test' };
  expect(await ledger.append.recordOwn('agent.stopped', 'success', own, {})).toBe(false);
  await ledger.close();
  expect((await readFile(path)).equals(before)).toBe(true);
  expect(failures).toEqual(['another process took the folder']);
});
