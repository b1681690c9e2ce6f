import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashRecord } from '../../ledger/chain.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { recoverLedger } from '../../ledger/recovery.ts';
import { RESERVE_NAME, segmentName, stateName } from '../../ledger/segment.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { makeEvent } from '../support/events.ts';
import { makeMemoryDir, openTestLedger } from '../support/ledger.ts';

const recover = (dir: string) =>
  recoverLedger({ dir, filesystem: nodeFilesystem, batchBytesMax: 1 << 20 });

test('a torn tail at every byte of the last batch is set aside, and everything before it is kept', async () => {
  await using temp = await makeMemoryDir();
  const source = join(temp.path, 'source');
  const ledger = await openTestLedger(source);
  await ledger.commit([makeEvent(), makeEvent()]);
  const acked = ledger.writer.position();
  await ledger.commit([makeEvent(), makeEvent({ metadata: { text: 'ü€😀' } })]);
  await ledger.writer.close();
  const whole = await readFile(join(source, segmentName(0)));

  for (let size = acked.segmentBytes; size < whole.length; size++) {
    const dir = join(temp.path, String(size));
    await mkdir(dir);
    await writeFile(join(dir, segmentName(0)), whole.subarray(0, size));
    const recovered = await recover(dir);
    if (!recovered.ok) throw new Error(`${size}: ${recovered.error.message}`);
    expect(recovered.value.state.records).toBeGreaterThanOrEqual(acked.records);
    const endsInLine = whole[size - 1] !== 0x0a;
    expect(recovered.value.torn !== null).toBe(endsInLine);
    if (recovered.value.torn !== null) {
      const kept = await readFile(join(dir, recovered.value.torn.kept_in));
      const left = Buffer.concat([await readFile(join(dir, segmentName(0))), kept]);
      expect(left.equals(whole.subarray(0, size))).toBe(true);
    }
    expect((await verifyLedger(dir)).verdict).toBe('intact');
  }
});

test('pages of the last batch that never reached the disk are a torn tail', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  const { records } = ledger.writer.position();
  await ledger.commit([makeEvent(), makeEvent()]);
  await ledger.writer.close();
  const path = join(temp.path, segmentName(0));
  const bytes = await readFile(path);
  const firstLines = bytes.toString('utf8').split('\n').slice(0, records).join('\n').length + 1;
  bytes.fill(0, firstLines + 10, firstLines + 500);
  await writeFile(path, bytes);
  const recovered = await recover(temp.path);
  expect(recovered.ok && recovered.value.state.records).toBe(records);
  expect(recovered.ok && recovered.value.torn?.byte).toBe(firstLines);
});

test('a changed byte before the tail is corruption: recovery refuses, says where, and touches nothing', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  for (let i = 0; i < 3; i++) await ledger.commit([makeEvent()]);
  await ledger.writer.close();
  const path = join(temp.path, segmentName(0));
  const intact = await readFile(path);
  expect((await recover(temp.path)).ok).toBe(true);

  for (const place of [0.1, 0.4, 0.7, 0.999]) {
    const bytes = Buffer.from(intact);
    // The last byte but one of the file is part of the last, whole line.
    const at = Math.min(Math.floor(bytes.length * place), bytes.length - 3);
    bytes[at] = bytes[at] === 0x61 ? 0x62 : 0x61;
    await writeFile(path, bytes);
    const recovered = await recover(temp.path);
    expect(recovered).toMatchObject({
      ok: false,
      error: { kind: 'corruption', segment: segmentName(0) },
    });
    expect((await readFile(path)).equals(bytes)).toBe(true);
  }
});

test('only the last segment may be torn', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  const firstBytes = ledger.writer.position().segmentBytes;
  await ledger.cut();
  await ledger.commit([makeEvent()]);
  await ledger.writer.close();
  await truncate(join(temp.path, segmentName(0)), firstBytes - 5);
  expect(await recover(temp.path)).toMatchObject({ ok: false, error: { kind: 'corruption' } });
});

test('a restart goes on from the kept state and reads the last two segments only', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  for (let i = 0; i < 4; i++) {
    await ledger.commit([
      makeEvent(),
      makeEvent({ resource: { type: 'x', id: '1', tenant_id: `t${i}` } }),
    ]);
    await ledger.cut();
  }
  await ledger.commit([makeEvent()]);
  await ledger.writer.close();
  let read = 0;
  const recovered = await recoverLedger({
    dir: temp.path,
    filesystem: nodeFilesystem,
    batchBytesMax: 1 << 20,
    onRecord: () => (read += 1),
  });
  const total = ledger.writer.position().records;
  expect(recovered.ok && recovered.value.state.records).toBe(total);
  expect(recovered.ok && recovered.value.state.streams.size).toBe(5);
  expect(read).toBeLessThan(total / 2);

  // Without, or with a damaged, kept state the same is found by reading everything.
  const states = (await readdir(temp.path)).filter((name) => name.endsWith('.state.json'));
  for (const name of states) await appendFile(join(temp.path, name), 'x');
  for (const name of states) {
    const text = await readFile(join(temp.path, name), 'utf8');
    await writeFile(join(temp.path, name), text.replace('"records":', '"records": '));
  }
  const again = await recover(temp.path);
  expect(again.ok && [...again.value.state.streams]).toEqual(
    recovered.ok && [...recovered.value.state.streams],
  );
  expect(again.ok && again.value.notes.length).toBeGreaterThan(0);
});

test('a missing segment is corruption', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  await ledger.cut();
  await ledger.commit([makeEvent()]);
  const { segment } = ledger.writer.position();
  await ledger.writer.close();
  const other = join(temp.path, 'other');
  await mkdir(other);
  await copyFile(join(temp.path, segmentName(segment)), join(other, segmentName(segment)));
  expect(await recover(other)).toMatchObject({ ok: false, error: { kind: 'corruption' } });
});

test('a record that holds no event is corruption with its place, whatever its hash says', async () => {
  for (const text of ['{"no":"json"', '[]', '{"event_id":"x"}']) {
    await using temp = await makeMemoryDir();
    const ledger = await openTestLedger(temp.path);
    await ledger.commit([makeEvent()]);
    await ledger.writer.close();
    const hash = hashRecord(GENESIS_PREV_HASH, text);
    await appendFile(join(temp.path, segmentName(0)), formatRecord(text, GENESIS_PREV_HASH, hash));
    expect(await recover(temp.path)).toMatchObject({
      ok: false,
      error: { kind: 'corruption', segment: segmentName(0), line: 3 },
    });
  }
});

test('an empty segment is fine as the last one and corruption anywhere else', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  await ledger.cut();
  await ledger.writer.close();
  expect(await recover(temp.path)).toMatchObject({ ok: true, value: { segment: 2, torn: null } });
  await writeFile(join(temp.path, segmentName(9)), '');
  expect(await recover(temp.path)).toMatchObject({
    ok: false,
    error: { kind: 'corruption', segment: segmentName(9), line: 1 },
  });
});

test('kept state of a segment that was never begun, and half files of a crash, change nothing', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  await ledger.cut();
  await ledger.commit([makeEvent()]);
  const state = await readFile(join(temp.path, stateName(2)));
  await ledger.writer.close();
  const before = await recover(temp.path);
  // As a crash between the two steps of a cut leaves them; and state of a ledger that went further.
  await writeFile(join(temp.path, stateName(3)), state);
  await writeFile(join(temp.path, stateName(7)), state);
  await writeFile(join(temp.path, `.${stateName(3)}.tmp`), state.subarray(0, 20));
  await writeFile(join(temp.path, '.reserve.tmp'), Buffer.alloc(100));
  expect(await recover(temp.path)).toEqual(before);
  const again = await openTestLedger(temp.path);
  await again.cut();
  await again.commit([makeEvent()]);
  await again.writer.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', records: 4 });
});

test('a torn tail is set aside on a full disk too, in the place of the reserve', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  await ledger.writer.restoreReserve();
  await ledger.writer.close();
  await appendFile(join(temp.path, segmentName(0)), '{"event":{"ac');
  const recovered = await recoverLedger({
    dir: temp.path,
    batchBytesMax: 1 << 20,
    filesystem: {
      ...nodeFilesystem,
      replace: async (path, bytes) => {
        if (await nodeFilesystem.exists(join(temp.path, RESERVE_NAME)))
          throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
        await nodeFilesystem.replace(path, bytes);
      },
    },
  });
  expect(recovered).toMatchObject({ ok: true, value: { torn: { bytes: 13 }, segment: 0 } });
});

test('as many records are read again as the window of foreign ids asks for', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  for (let i = 0; i < 10; i++) {
    await ledger.commit([makeEvent()]);
    await ledger.cut();
  }
  await ledger.writer.close();
  const countRead = async (recordsReadMin: number): Promise<number> => {
    let read = 0;
    const onRecord = (): void => void (read += 1);
    const options = { dir: temp.path, filesystem: nodeFilesystem, batchBytesMax: 1 << 20 };
    await recoverLedger({ ...options, recordsReadMin, onRecord });
    return read;
  };
  expect(await countRead(0)).toBeLessThan(3);
  expect(await countRead(6)).toBe(6);
  expect(await countRead(100)).toBe(11);
});
