/** The spool's files when the disk fails: what is told of a group is true of it, and what is kept is sent. */
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  rmdir,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { canonicalize } from '../../schemas/canonical.ts';
import { createSpoolClaims } from '../../sdk/spool-claims.ts';
import type { SealedFile } from '../../sdk/spool-file.ts';
import { encodeSpoolLine, readSpool } from '../../sdk/spool-format.ts';
import { lockFolder } from '../../sdk/spool-owner.ts';
import { createSpoolWriter, type SpoolWriter } from '../../sdk/spool-writer.ts';
import { makeEvent } from '../support/events.ts';

let dir = '';
let sealed: SealedFile[] = [];
let warnings: string[] = [];
let writer: SpoolWriter;
/** Of every open file. */
let handle: FileHandle;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sealtrail-spool-'));
  const probe = await open(join(dir, 'probe'), 'w');
  handle = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  sealed = [];
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)));
  writer = createSpoolWriter(join(dir, ulid()), (file) => sealed.push(file));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await writer.close();
  await rm(dir, { recursive: true, force: true });
});

const EIO = new Error('EIO: i/o error');
const line = (event_id: string): Buffer =>
  encodeSpoolLine(Buffer.from(canonicalize(makeEvent({ event_id }))));
const idsIn = async ({ path }: SealedFile): Promise<string[]> =>
  readSpool(await readFile(path)).events.map(({ event_id }) => event_id);
const openFiles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;

test('a group whose fsync fails is cut off again and told as not kept; what was kept before it is sent', async () => {
  const [first, second, third] = [ulid(), ulid(), ulid()];
  expect(await writer.append([line(first)])).toEqual({ ok: true });
  const before = await openFiles();
  vi.spyOn(handle, 'datasync').mockRejectedValueOnce(EIO);
  expect(await writer.append([line(second)])).toMatchObject({ ok: false, mayBeKept: false });
  expect(await idsIn(sealed[0]!)).toEqual([first]);
  // The next one goes to a file of its own.
  expect(await writer.append([line(third)])).toEqual({ ok: true });
  await writer.seal();
  expect(await idsIn(sealed[1]!)).toEqual([third]);
  expect(await openFiles()).toBeLessThan(before);
  expect(warnings).toEqual([]);
});

test('a group that cannot be cut off again is told as perhaps kept, and its file is sent', async () => {
  const [first, second] = [ulid(), ulid()];
  expect(await writer.append([line(first)])).toEqual({ ok: true });
  vi.spyOn(handle, 'datasync').mockRejectedValueOnce(EIO);
  vi.spyOn(handle, 'truncate').mockRejectedValueOnce(EIO);
  expect(await writer.append([line(second)])).toMatchObject({ ok: false, mayBeKept: true });
  expect(await idsIn(sealed[0]!)).toEqual([first, second]);
  expect(warnings).toEqual([expect.stringContaining('could not be cut back')]);
});

test('an empty file that cannot be removed is no reason to leave a group without its answer', async () => {
  const flush = vi.spyOn(handle, 'datasync');
  flush.mockResolvedValueOnce(undefined).mockImplementationOnce(async () => {
    const [folder = ''] = (await readdir(dir)).filter((name) => name !== 'probe');
    const [file = ''] = (await readdir(join(dir, folder))).filter((one) => one.endsWith('.ndjson'));
    await rm(join(dir, folder, file));
    await mkdir(join(dir, folder, file));
    throw EIO;
  });
  expect(await writer.append([line(ulid())])).toMatchObject({ ok: false, mayBeKept: false });
  expect(warnings).toEqual([expect.stringContaining('could not be removed')]);
  expect(await writer.append([line(ulid())])).toEqual({ ok: true });
});

test('a folder whose owner cannot be noted is let go, and can be locked once it can', async () => {
  const folder = join(dir, ulid());
  const note = join(folder, 'owner.json');
  await mkdir(note, { recursive: true });
  await expect(lockFolder(folder)).rejects.toThrow('EISDIR');
  await rmdir(note);
  const lock = await lockFolder(folder);
  expect(lock?.isHeld()).toBe(true);
  await lock?.release();
});

test('a folder that was emptied and cannot be removed is let go all the same', async () => {
  const left = join(dir, ulid());
  await mkdir(left);
  await writeFile(join(left, `${ulid()}.ndjson`), '');
  const claims = createSpoolClaims(dir, () => false, vi.fn());
  const [file] = await claims.scan();
  await rm(file!.path);
  await rm(join(left, 'owner.json'));
  await mkdir(join(left, 'owner.json'));
  await expect(claims.finished(file!)).rejects.toThrow('EISDIR');
  await rmdir(join(left, 'owner.json'));
  const lock = await lockFolder(left);
  expect(lock?.isHeld()).toBe(true);
  await lock?.release();
});
