/** Task 13: the chain, the verifier, and what neither can do alone. Ledger and store, by the program. */
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Verification } from '../../ledger/examination.ts';
import type { RecordReceipt } from '../../sdk/index.ts';
import { runCli } from '../support/agent-process.ts';
import { measureChain, measureIngest } from './chain-load.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import {
  copyLedger,
  formatLine,
  hashOf,
  openRows,
  parseLine,
  readLines,
  rewriteChain,
} from './tampering.ts';
import { at, draft, openTrail, type Trail } from './trail.ts';

/** Genesis and so many events make the stream; the middle one is attacked. */
const EVENTS = 20;
const MIDDLE = 10;
const TARGET = `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1)`;

let trail: Trail;
let receipts: readonly RecordReceipt[];
let stream: string;
let rows: Awaited<ReturnType<typeof openRows>>;
let auditorUrl: string;

beforeAll(async () => {
  trail = await openTrail();
  const recorded: RecordReceipt[] = [];
  for (let n = 0; n < EVENTS; n++)
    recorded.push(await trail.audit.record(draft({ metadata: { amount: 100 + n } })));
  receipts = recorded;
  stream = recorded[0]?.stream ?? '';
  const admin: pg.Client = await trail.connect('admin');
  rows = await openRows(admin);
  auditorUrl = await trail.agent.databaseUrl('auditor');
});
afterAll(() => trail[Symbol.asyncDispose]());

const ledgerDir = (): string => join(trail.agent.dir, 'ledger');

async function verify(...args: readonly string[]): Promise<Verification & { code: number | null }> {
  const { code, stdout, stderr } = await runCli(['verify', ...args, '--json']);
  if (stdout === '') throw new Error(stderr);
  return { code, ...(JSON.parse(stdout) as Verification) };
}

/** Verifies a copy of the ledger whose lines were rewritten. */
async function verifyLines(rewrite: (lines: readonly string[]) => readonly string[]) {
  await using copy = await copyLedger(ledgerDir(), rewrite);
  // Awaited here: the copy lives as long as this scope.
  return await verify(copy.path);
}

/** Verifies the store with tampered rows, then puts them back; the restored store must be intact. */
async function verifyRows(sql: string, parameters: readonly unknown[]) {
  try {
    await rows.tamper(sql, parameters);
    return await verify('--store', auditorUrl);
  } finally {
    await rows.restore();
    expect((await verify('--store', auditorUrl)).verdict).toBe('intact');
  }
}

const isAt = (line: string, seq: number): boolean => {
  const parsed = parseLine(line);
  return parsed.stream === stream && parsed.seq === seq;
};

/** The program says broken, names a record, and proves nothing from there on. */
function expectFlagged(found: Verification & { code: number | null }, kinds: RegExp, from: number) {
  expect([found.code, found.verdict]).toEqual([1, 'broken']);
  const here = found.findings.filter((one) => one.stream === stream);
  expect(here[0]?.seq).toBe(from);
  expect(here[0]?.kind).toMatch(kinds);
  const summary = found.streams.find((one) => one.stream === stream);
  expect(summary?.verified_to).toBeLessThan(from);
  return summary;
}

describeTask(13, (criterion) => {
  criterion('a clean chain verifies from end to end', async (say) => {
    const ledger = await verify(trail.agent.dir);
    const store = await verify('--store', auditorUrl);
    for (const found of [ledger, store]) {
      expect([found.code, found.verdict, found.findings]).toEqual([0, 'intact', []]);
      expect(found.streams.find((one) => one.stream === stream)).toMatchObject({
        records: EVENTS + 1,
        verified_to: EVENTS,
        unproven: 0,
        head_hash: receipts.at(-1)?.this_hash,
      });
    }
    say(`${ledger.records} records in the ledger, ${store.records} in the store`);
  });

  criterion('a changed field in a middle row flags that row and every row after it', async () => {
    const change = (text: string): string => text.replace('"amount":109', '"amount":999');
    const ledger = await verifyLines((lines) =>
      lines.map((line) => (isAt(line, MIDDLE) ? change(line) : line)),
    );
    const store = await verifyRows(
      `UPDATE audit.records SET event_bytes = replace(event_bytes, '"amount":109', '"amount":999')
       WHERE ${TARGET} AND seq = $2`,
      [stream, MIDDLE],
    );
    for (const found of [ledger, store]) {
      const summary = expectFlagged(found, /^modified$/, MIDDLE);
      // Exactly this row is named; from it on, to the end, nothing counts as proven.
      expect(found.findings).toHaveLength(1);
      expect(summary).toMatchObject({ verified_to: MIDDLE - 1, unproven: EVENTS + 1 - MIDDLE });
    }
    // A column that says something else than the event beside it is no better.
    const column = await verifyRows(
      `UPDATE audit.records SET outcome = 'denied' WHERE ${TARGET} AND seq = $2`,
      [stream, MIDDLE],
    );
    expect([column.code, column.findings[0]]).toMatchObject([
      1,
      { kind: 'column_differs', seq: MIDDLE, column: 'outcome' },
    ]);
  });

  criterion('a deleted middle row is detected', async () => {
    const ledger = await verifyLines((lines) => lines.filter((line) => !isAt(line, MIDDLE)));
    const store = await verifyRows(`DELETE FROM audit.records WHERE ${TARGET} AND seq = $2`, [
      stream,
      MIDDLE,
    ]);
    for (const found of [ledger, store]) expectFlagged(found, /^deleted$/, MIDDLE + 1);
  });

  criterion('two reordered rows are detected', async () => {
    const ledger = await verifyLines((lines) => {
      const [first, second] = [MIDDLE, MIDDLE + 1].map((seq) =>
        lines.findIndex((line) => isAt(line, seq)),
      );
      const swapped = [...lines];
      [swapped[first!], swapped[second!]] = [lines[second!]!, lines[first!]!];
      return swapped;
    });
    expect([ledger.code, ledger.findings.map(({ kind }) => kind)]).toMatchObject([
      1,
      expect.arrayContaining(['reordered']),
    ]);
    // In a table order is a column: the two rows trade their numbers.
    const store = await verifyRows(
      `UPDATE audit.records SET seq = CASE seq WHEN $2 THEN $3 ELSE $2 END
       WHERE ${TARGET} AND seq IN ($2, $3)`,
      [stream, MIDDLE, MIDDLE + 1],
    );
    expect([store.code, store.verdict]).toEqual([1, 'broken']);
    const named = store.findings.map(({ seq }) => seq);
    expect(named).toEqual(expect.arrayContaining([MIDDLE, MIDDLE + 1]));
  });

  criterion('an inserted, forged row is detected', async () => {
    const forge = (eventText: string): string =>
      eventText.replace('"outcome":"success"', '"outcome":"failure"');
    const ledger = await verifyLines((lines) =>
      lines.flatMap((text) => {
        if (!isAt(text, MIDDLE)) return [text];
        // As good as a forgery gets: its link and its own hash are right.
        const line = parseLine(text);
        const eventText = forge(line.eventText);
        const this_hash = hashOf(line.prev_hash, eventText);
        return [formatLine({ ...line, eventText, this_hash }), text];
      }),
    );
    const original = (await trail.ledgerText())
      .split('\n')
      .find((line) => line !== '' && isAt(line, MIDDLE));
    const { eventText, prev_hash } = parseLine(original ?? '');
    const forged = forge(eventText);
    const store = await verifyRows(
      `INSERT INTO audit.records (occurred_at, received_at, seq, stream_id, duplicate, event_id,
         tenant_id, actor_type, actor_id, action, category, outcome, resource_type, resource_id,
         prev_hash, this_hash, event_bytes)
       SELECT occurred_at + interval '1 microsecond', received_at, seq, stream_id, true, event_id,
         tenant_id, actor_type, actor_id, action, category, 'failure', resource_type, resource_id,
         prev_hash, decode($3, 'hex'), $4
       FROM audit.records WHERE ${TARGET} AND seq = $2`,
      [stream, MIDDLE, hashOf(prev_hash, forged), forged],
    );
    for (const found of [ledger, store]) {
      expect([found.code, found.verdict]).toEqual([1, 'broken']);
      const inserted = found.findings.filter(({ kind }) => kind === 'inserted');
      expect(inserted.map(({ seq }) => seq)).toEqual([MIDDLE]);
    }
  });

  criterion(
    'it is said why this detects and does not prevent, and what it gives an investigator',
    () => {
      expectDefence('docs/THREAT_MODEL.md', 'Detect, not prevent', {
        says: [/prevent/, /investigator/, /verified to/],
        names: ['ledger/stream-check.ts', 'ledger/verify.ts', 'docs/FORMAT.md'],
      });
    },
  );

  criterion(
    'the latest this_hash is kept in independent places: even a wholly rewritten chain is detected',
    async () => {
      const target = { stream, seq: MIDDLE };
      await using forged = await copyLedger(ledgerDir(), (lines) =>
        rewriteChain(lines, target, (text) => text.replace('"amount":109', '"amount":999')),
      );
      // The chain alone is satisfied: that is its limit.
      const found = await verify(forged.path);
      expect([found.code, found.verdict]).toEqual([0, 'intact']);
      const forgedHead = found.streams.find((one) => one.stream === stream)?.head_hash;

      // The application's receipts, the SIEM's documents and the store each kept the true hashes.
      const siem = (await trail.siem('ecs'))
        .filter((one) => at(one, 'sealtrail.chain.stream') === stream)
        .toSorted((a, b) => Number(at(a, 'event.sequence')) - Number(at(b, 'event.sequence')));
      const auditor = await trail.connect('auditor');
      const stored = await auditor.query<{ this_hash: string }>(
        'SELECT this_hash FROM audit.sealed_records WHERE stream = $1 ORDER BY seq',
        [stream],
      );
      const kept = {
        receipts: receipts.map(({ this_hash }) => this_hash),
        siem: siem.map((one) => at(one, 'event.hash')),
        store: stored.rows.map(({ this_hash }) => this_hash),
      };
      for (const hashes of Object.values(kept)) expect(hashes.at(-1)).not.toBe(forgedHead);
      // And they say from where on: the forger's chain leaves them at the changed record.
      const rewritten = await hashesIn(forged.path);
      expect(kept.receipts.findIndex((hash) => !rewritten.has(hash))).toBe(MIDDLE - 1);
      expect(kept.siem.findIndex((hash) => !rewritten.has(String(hash)))).toBe(MIDDLE);
      expect(kept.store.findIndex((hash) => !rewritten.has(hash))).toBe(MIDDLE);
      // The same holds for a tail that was cut off: "verified to" a smaller number, and a hash too many.
      await using cut = await copyLedger(ledgerDir(), (lines) =>
        lines.filter((line) => !isAt(line, EVENTS)),
      );
      const shorter = await verify(cut.path);
      const summary = shorter.streams.find((one) => one.stream === stream);
      expect([shorter.verdict, summary?.verified_to]).toEqual(['intact', EVENTS - 1]);
      expect((await hashesIn(cut.path)).has(receipts.at(-1)?.this_hash ?? '')).toBe(false);
      // The control: the true ledger holds every one of them.
      const genuine = await hashesIn(ledgerDir());
      for (const hashes of Object.values(kept))
        expect(hashes.filter((hash) => !genuine.has(String(hash)))).toEqual([]);
    },
  );

  criterion('the chain is measured under write load, and its contention discussed', async (say) => {
    const chain = await measureChain();
    const one = await measureIngest(trail, 1, 1);
    const many = await measureIngest(trail, 8, 256);
    expect(many).toBeGreaterThan(one);
    // The chain is one step of many; were it the bottleneck, ingest would come near its rate.
    expect(chain).toBeGreaterThan(many);
    say(
      `the chain alone ${rate(chain)}; durable, 1 client one by one ${rate(one)}; 8 clients, 256 in flight each ${rate(many)}`,
    );
    expect((await verify(trail.agent.dir)).verdict).toBe('intact');
    expectDefence('docs/GUARANTEES.md', 'What the chain costs', {
      says: [/events\/s/, /serial/, /group commit/, /stream/],
      names: ['agent/append/sealer.ts', 'ledger/chain.ts'],
    });
  });
});

async function hashesIn(folder: string): Promise<ReadonlySet<string>> {
  return new Set((await readLines(folder)).map((line) => parseLine(line).this_hash));
}

function rate(perSecond: number): string {
  return `${Math.round(perSecond).toLocaleString('en')}/s`;
}
