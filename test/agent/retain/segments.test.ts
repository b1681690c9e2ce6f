/**
 * Segments leave the front of the ledger once nobody needs them, the ledger says so itself, and what is left
 * recovers, verifies and is read on, whichever step of the removal fails.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { expect, test } from 'vitest';
import { removeSegments, type RemovalPorts } from '../../../agent/retain/segments.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { createLedgerReader } from '../../../ledger/reader.ts';
import { listSegments, stateName } from '../../../ledger/segment.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import type { AuditEvent } from '../../../schemas/event.ts';
import { createFaultyFilesystem } from '../../support/faulty-filesystem.ts';
import { makeEvent } from '../../support/events.ts';
import { makeMemoryDir, openTestLedger, type TestLedger } from '../../support/ledger.ts';

function buildEvent(of: {
  tenant: string;
  action?: string;
  metadata?: AuditEvent['metadata'];
}): AuditEvent {
  const { event, resource } = makeEvent();
  return makeEvent({
    event_id: ulid(),
    event: { ...event, action: of.action ?? event.action },
    resource: { ...resource, tenant_id: of.tenant },
    metadata: of.metadata ?? {},
  });
}

const SEGMENTS = 5;
const EACH = 4;

/** Five segments of four events each, and a way to record removals in the last. */
async function makeLedger(dir: string): Promise<TestLedger> {
  const ledger = await openTestLedger(dir);
  for (let segment = 0; segment < SEGMENTS; segment += 1) {
    if (segment > 0) await ledger.cut();
    const tenants = ['acme', 'zeta', 'acme', 'acme'];
    await ledger.commit(tenants.slice(0, EACH).map((tenant) => buildEvent({ tenant })));
  }
  return ledger;
}

function portsOf(ledger: TestLedger, changes: Partial<RemovalPorts> = {}): RemovalPorts {
  return {
    dir: ledger.dir,
    filesystem: nodeFilesystem,
    nowMs: () => Date.now() + 10_000,
    keepMs: 5_000,
    needs: () => Promise.resolve({ checkpointed: 1e9, delivered: 1e9, deadLetter: Infinity }),
    isAnchored: () => Promise.resolve(true),
    isHeld: () => Promise.resolve(false),
    record: async (_, metadata) => {
      const event = buildEvent({ tenant: 'sealtrail', action: 'ledger.segment_removed', metadata });
      return Array.isArray(await ledger.commit([event]));
    },
    ...changes,
  };
}

const segmentsIn = async (dir: string): Promise<number[]> => listSegments(await readdir(dir));

test('all but the last two go; the rest verifies and says why it begins later, recovers, and is read on', async () => {
  await using dir = await makeMemoryDir();
  const ledger = await makeLedger(dir.path);
  const before = await segmentsIn(dir.path);
  expect(await removeSegments(portsOf(ledger))).toBe(SEGMENTS - 2);
  expect(await segmentsIn(dir.path)).toEqual(before.slice(-2));
  await ledger.writer.close();

  const verified = await verifyLedger(dir.path);
  expect(verified).toMatchObject({ verdict: 'intact', findings: [], gaps: [] });
  expect(verified.notes.join()).toContain(`begins with record ${before.at(-2)}`);
  const again = await openTestLedger(dir.path);
  expect(again.recovered.state.records).toBe((before.at(-2) ?? 0) + verified.records);
  await again.commit([buildEvent({ tenant: 'acme' })]);
  await again.writer.close();
  expect(await verifyLedger(dir.path)).toMatchObject({ verdict: 'intact', findings: [] });

  const reader = createLedgerReader({ dir: dir.path, from: 0 });
  const limits = { recordsMax: 10, bytesMax: 1e6, upTo: 10 };
  expect(await reader.read(limits)).toMatchObject({
    error: {
      kind: 'missing',
      message: expect.stringContaining('the ledger begins with') as string,
    },
  });
  await reader.close();
});

test('a front that was taken away, or whose state was changed, is found', async () => {
  await using dir = await makeMemoryDir();
  const ledger = await makeLedger(dir.path);
  const [first = 0, second = 0] = await segmentsIn(dir.path);
  expect(first).toBe(0);
  // Without a record of it.
  const record = (): Promise<boolean> => Promise.resolve(true);
  let calls = 0;
  const needs = (): ReturnType<RemovalPorts['needs']> => {
    calls += 1;
    return Promise.resolve({
      checkpointed: calls === 1 ? 1e9 : 0,
      delivered: 1e9,
      deadLetter: 1e9,
    });
  };
  expect(await removeSegments(portsOf(ledger, { record, needs }))).toBe(1);
  const found = await verifyLedger(dir.path);
  expect(found.verdict).toBe('broken');
  expect(found.findings.map(({ kind }) => kind)).toContain('segment_missing');
  // With one, and then another state.
  expect(await removeSegments(portsOf(ledger))).toBe(SEGMENTS - 3);
  expect(await verifyLedger(dir.path)).toMatchObject({ verdict: 'intact' });
  const [left = 0] = await segmentsIn(dir.path);
  expect(left).toBeGreaterThan(second);
  const path = join(dir.path, stateName(left));
  await writeFile(path, (await readFile(path, 'utf8')).replace('acme', 'acne'));
  expect((await verifyLedger(dir.path)).verdict).toBe('broken');
  await ledger.writer.close();
});

test('each need keeps a segment: checkpoints, anchors, cursors, dead letters, its age, a hold, an unwritten record', async () => {
  await using dir = await makeMemoryDir();
  const ledger = await makeLedger(dir.path);
  const [, second = 0] = await segmentsIn(dir.path);
  const all = { checkpointed: 1e9, delivered: 1e9, deadLetter: Infinity };
  const keeps = async (changes: Partial<RemovalPorts>): Promise<void> => {
    expect(await removeSegments(portsOf(ledger, changes))).toBe(0);
    expect(await segmentsIn(dir.path)).toHaveLength(SEGMENTS);
  };
  for (const need of [{ checkpointed: second }, { delivered: second }, { deadLetter: second - 1 }])
    await keeps({ needs: () => Promise.resolve({ ...all, ...need }) });
  await keeps({ keepMs: 60_000 });
  await keeps({ record: () => Promise.resolve(false) });
  const asked: string[] = [];
  const ask = (extents: Parameters<RemovalPorts['isHeld']>[0]): Promise<boolean> => {
    asked.push(...extents.map(({ stream, from, to }) => `${stream.slice(-8)} ${from} ${to}`));
    return Promise.resolve(asked.length > 2);
  };
  await keeps({ isAnchored: ask });
  await keeps({ isHeld: ask });
  expect(asked).toEqual(['standard 0 4', 'standard 0 2', 'standard 0 4', 'standard 0 2']);
  await ledger.writer.close();
});

test('whichever step of the disk fails, nothing is lost that was not to go, and the next run finishes', async () => {
  const steps: string[] = [];
  for (let at = 0; ; at += 1) {
    await using dir = await makeMemoryDir();
    const ledger = await makeLedger(dir.path);
    const filesystem = createFaultyFilesystem({ at, code: 'EIO' });
    const failed = await removeSegments(
      portsOf(ledger, { filesystem: filesystem as Filesystem }),
    ).then(
      () => false,
      () => true,
    );
    expect(await verifyLedger(dir.path)).toMatchObject({ verdict: 'intact', findings: [] });
    await removeSegments(portsOf(ledger));
    await ledger.writer.close();
    expect(await segmentsIn(dir.path)).toHaveLength(2);
    expect(await verifyLedger(dir.path)).toMatchObject({ verdict: 'intact', findings: [] });
    const names = await readdir(dir.path);
    expect(names.filter((name) => name.endsWith('.state.json'))).toHaveLength(2);
    await (await openTestLedger(dir.path)).writer.close();
    if (!failed) break;
    steps.push(filesystem.operations.at(-1) ?? '');
  }
  expect(steps.length).toBe(3 * (SEGMENTS - 2));
});
