/** The certificate of an answer: what a superuser did to the store is said, and what could not be seen is said too. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { rehash } from '../../ledger/content-check.ts';
import { formatCertificate } from '../../auditor/certificate/certificate.ts';
import { createSealer } from '../store/sealed.ts';
import {
  ACME,
  ASKED,
  checkpointOf,
  createSigner,
  fieldsOf,
  openEvidenceStore,
  STATEMENT,
  trustOf,
  ZETA,
  type EvidenceStore,
} from './evidence-store.ts';

let bench: EvidenceStore;
/** What an answer shows: actor u-1, hours 26 to 71 of March. */
const SHOWN = Array.from({ length: 120 }, (_, n) => n).filter(
  (n) => n % 5 === 1 && n >= 24 && n < 72,
);
const SAVED = ['records', 'streams', 'checkpoints'];

beforeAll(async () => {
  bench = await openEvidenceStore();
  for (const table of SAVED) {
    await bench.admin.query(`CREATE TABLE kept_${table} AS SELECT * FROM audit.${table}`);
  }
  await bench.admin.query('ALTER TABLE kept_records DROP COLUMN payload');
});
afterAll(() => bench[Symbol.asyncDispose]());
afterEach(async () => {
  const columns = await bench.admin.query<{ list: string }>(
    `SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute
     WHERE attrelid = 'kept_records'::regclass AND attnum > 0 AND NOT attisdropped`,
  );
  const list = columns.rows[0]?.list ?? '';
  await bench.tamper('SELECT 1');
  await bench.admin.query(`
    DELETE FROM audit.records; DELETE FROM audit.streams; DELETE FROM audit.checkpoints;
    INSERT INTO audit.streams OVERRIDING SYSTEM VALUE SELECT * FROM kept_streams;
    INSERT INTO audit.checkpoints SELECT * FROM kept_checkpoints;
    INSERT INTO audit.records (${list}) SELECT ${list} FROM kept_records`);
});

const OF_ACME = `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = '${ACME}')`;
const textOf = ({
  proven,
  not_proven,
}: {
  proven: readonly string[];
  not_proven: readonly string[];
}) => ({
  proven: proven.join(' '),
  not: not_proven.join(' '),
});

/** Changes an event and its hash, as somebody does who has the source code. */
async function reseal(from: number, change: (text: string) => string): Promise<void> {
  let head = bench.records[from]?.prev_hash as string;
  for (const [seq, { eventText }] of [...bench.records.entries()].slice(from)) {
    const text = seq === from ? change(eventText) : eventText;
    const hash = rehash(head, text);
    await bench.tamper(
      `UPDATE audit.records SET event_bytes = $1, prev_hash = decode($2, 'hex'), this_hash = decode($3, 'hex')
       WHERE ${OF_ACME} AND seq = ${seq}`,
      [text, head, hash],
    );
    head = hash;
  }
}

describe('an untouched store', () => {
  test('is certified intact: the rows, the range with its neighbours, the tree to a signed checkpoint', async () => {
    const made = await bench.ask();
    expect(made).toMatchObject({
      verdict: 'intact',
      findings: [],
      login: 'alice',
      rows: { count: SHOWN.length, records: SHOWN.length },
      // Two days of an hour each, and a neighbour on either side.
      records: 50,
    });
    expect(made.streams).toMatchObject([
      { stream: ACME, from: 24, to: 72, first: 23, last: 73, is_trusted: true, anchored: null },
    ]);
    const [proof] = made.streams;
    expect(proof?.tree?.size).toBe(100);
    expect(proof?.checkpoint).toContain(`${ACME}\n100\n`);
    expect(proof?.before).toContain('"amount":23');
    expect(proof?.after).toContain('"amount":72');
    expect(made.finding).toBe(
      'Intact: all 10 rows and 50 records around them are as they were sealed.',
    );
    const { proven, not } = textOf(made);
    expect(proven).toContain('somebody who changed one and sealed all that follow again');
    expect(not).toContain("rests on the agent's clock");
    expect(not).toContain('That the application reported everything');
    expect(not).not.toContain('was not written anew:');
  });

  test('the same question asked again gives the same bytes, also when more was recorded and signed since', async () => {
    const first = formatCertificate(await bench.ask());
    const zeta = createSealer(`${ZETA}-2`, 'zeta');
    await bench.put([zeta.seal(fieldsOf(1))]);
    expect(formatCertificate(await bench.ask())).toBe(first);
  });

  test('an answer without a row is certified by the range that was looked through', async () => {
    const statement = { ...STATEMENT, values: ['acme', 'nobody', ASKED.since, ASKED.until] };
    const asked = { ...ASKED, parameters: { actor: 'nobody' } };
    const made = await bench.ask({ asked }, statement);
    expect(made).toMatchObject({ verdict: 'intact', records: 50, rows: { count: 0 } });
    expect(made.judged).toEqual({ by: 'rows', matching: 0, repeated: 0, masked: 0 });
    expect(made.finding).toContain('the answer has no row, and 50 records');
  });

  test('rows that count are no records; without a rule for the question it says what is certified of them', async () => {
    const statement = {
      sql: `SELECT actor_id AS who, count(*)::int AS n FROM audit.events WHERE tenant_id = $1
            AND occurred_at >= $2 AND occurred_at < $3 GROUP BY 1 ORDER BY 1`,
      values: ['acme', ASKED.since, ASKED.until],
    };
    const asked = { ...ASKED, question: 'events-by-actor' };
    const made = await bench.ask({ asked }, statement);
    expect(made).toMatchObject({ verdict: 'intact', records: 50, rows: { count: 5, records: 0 } });
    expect(made.judged).toBeNull();
    expect(textOf(made).not).toContain('The figures in rows that count or compare');
  });

  test('without a key that signed it nothing can be told, and without keys at all it says so', async () => {
    const stranger = await bench.ask({ trust: trustOf(createSigner()) });
    expect(stranger.verdict).toBe('cannot_tell');
    expect(stranger.finding).toContain('no key that is trusted has signed a checkpoint');
    expect(stranger.proven).toEqual([]);
    const unjudged = await bench.ask({ trust: null });
    expect(unjudged.verdict).toBe('intact');
    expect(textOf(unjudged).not).toContain('Who signed the checkpoints');
  });

  test('of a tenant that the login may not see there is nothing to certify', async () => {
    const made = await bench.ask({ asked: { ...ASKED, tenant: 'zeta' }, rows: [] });
    expect(made).toMatchObject({ verdict: 'cannot_tell', records: 0, streams: [] });
    expect(made.finding).toContain('no record of tenant zeta that the login alice may see');
  });
});

describe('tampering', () => {
  test.each([
    ['an edited event', `event_bytes = replace(event_bytes, '"amount":36', '"amount":37')`],
    ['an edited column', `action = 'customer.read'`],
  ])('%s turns intact into BROKEN at that row', async (_, set) => {
    const at = SHOWN.indexOf(36) + 1;
    expect(at).toBe(3);
    await bench.tamper(`UPDATE audit.records SET ${set} WHERE ${OF_ACME} AND seq = 36`);
    const made = await bench.ask();
    expect(made).toMatchObject({ verdict: 'broken', findings_total: 1, proven: [] });
    expect(made.findings).toMatchObject([{ rows: [at], stream: ACME, seq: 36 }]);
    expect(made.finding).toMatch(new RegExp(`^BROKEN at row 3, record ${ACME} seq 36: `));
  });

  test('a column that was edited to keep the record out of the answer is named in the range', async () => {
    await bench.tamper(`UPDATE audit.records SET actor_id = 'u-9' WHERE ${OF_ACME} AND seq = 36`);
    const made = await bench.ask();
    expect(made).toMatchObject({ verdict: 'broken', rows: { count: SHOWN.length - 1 } });
    expect(made.findings).toMatchObject([{ kind: 'column_differs', rows: [], seq: 36 }]);
    expect(made.finding).toMatch(/^BROKEN in the range, at record /);
  });

  test('a record that was marked as a repetition, so that no query shows it', async () => {
    await bench.tamper(`UPDATE audit.records SET duplicate = true WHERE ${OF_ACME} AND seq = 36`);
    expect((await bench.ask()).findings).toMatchObject([{ kind: 'column_differs', seq: 36 }]);
  });

  test('a record changed and hashed again: the link behind it breaks, and the row is named', async () => {
    const { eventText, prev_hash } = bench.records[36]!;
    const text = eventText.replace('"amount":36', '"amount":37');
    await bench.tamper(
      `UPDATE audit.records SET event_bytes = $1, this_hash = decode($2, 'hex') WHERE ${OF_ACME} AND seq = 36`,
      [text, rehash(prev_hash, text)],
    );
    const made = await bench.ask();
    expect(made.findings[0]).toMatchObject({ kind: 'modified', rows: [3], seq: 37 });
    expect(made.finding).toContain('BROKEN at row 3');
  });

  test.each([
    ['in the range', 'seq = 40', 'deleted'],
    ['right before the range', 'seq = 23', 'deleted'],
    ['right behind the range', 'seq = 72', 'deleted'],
    ['all of the range', 'seq >= 24 AND seq < 72', 'deleted'],
    ['the tail, the range with it', 'seq >= 60', 'truncated'],
    ['every record', 'seq >= 0', 'truncated'],
  ])('a deletion is seen: %s', async (_, which, kind) => {
    await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME} AND ${which}`);
    const made = await bench.ask();
    expect(made.verdict).toBe('broken');
    expect(made.findings.map((one) => one.kind)).toContain(kind);
    expect(made.findings.every(({ rows }) => rows.length === 0)).toBe(true);
  });

  test('a stream that was removed, name and all, is missed by its checkpoints', async () => {
    await bench.tamper(`DELETE FROM audit.records WHERE ${OF_ACME}`);
    await bench.tamper(`DELETE FROM audit.streams WHERE stream = '${ACME}'`);
    const made = await bench.ask();
    expect(made).toMatchObject({
      verdict: 'broken',
      findings: [{ kind: 'truncated', stream: ACME }],
    });
  });

  test('a history sealed again is seen with checkpoints and keys; without, it says that it could not be', async () => {
    await reseal(36, (text) => text.replace('"amount":36', '"amount":37'));
    const seen = await bench.ask();
    expect(seen).toMatchObject({ verdict: 'broken' });
    expect(seen.findings).toMatchObject([{ kind: 'rewritten', stream: ACME, rows: [] }]);
    expect(seen.streams[0]?.checkpoint).toBeNull();

    await bench.tamper('DELETE FROM audit.checkpoints');
    const blind = await bench.ask({ trust: null });
    expect(blind.verdict).toBe('intact');
    expect(textOf(blind).not).toContain('no checkpoint was held against it');
    expect(textOf(blind).proven).not.toContain('signed');
    expect((await bench.ask()).verdict).toBe('cannot_tell');
  });

  test('a checkpoint forged over a history sealed again: its key is not the one that is trusted', async () => {
    await reseal(36, (text) => text.replace('"amount":36', '"amount":37'));
    const rows = await bench.admin.query<{ event_bytes: string; this_hash: string }>(
      `SELECT event_bytes, encode(this_hash, 'hex') AS this_hash FROM audit.records WHERE ${OF_ACME} ORDER BY seq`,
    );
    const forged = rows.rows.map((row, n) => ({ ...bench.records[n]!, this_hash: row.this_hash }));
    const { note } = await checkpointOf(forged as never, 120, createSigner());
    await bench.tamper('DELETE FROM audit.checkpoints WHERE size < 120');
    await bench.tamper('UPDATE audit.checkpoints SET note = $1', [note]);
    expect((await bench.ask()).verdict).toBe('cannot_tell');
    expect((await bench.ask({ trust: null })).verdict).toBe('intact');
  });

  test('a row that the statement invents is the row that is named', async () => {
    const forger = createSealer(ACME, 'acme', bench.records[30]);
    const { event, eventText, prev_hash, this_hash } = forger.seal(fieldsOf(31));
    const record = {
      ...{ stream: ACME, seq: event.chain.seq, event_id: event.event_id },
      ...{ event_bytes: eventText, prev_hash, this_hash },
    };
    const made = await bench.ask({ rows: [{ values: [], record }] });
    expect(made.findings[0]).toMatchObject({ kind: 'inserted', rows: [1], seq: 31 });
    expect(made.finding).toContain('another record than the one that stands here');
    // It is all that the answer shows.
    const hidden = made.findings.slice(1);
    expect(hidden.map(({ kind, seq }) => `${kind} ${seq}`)).toEqual(
      SHOWN.filter((seq) => seq !== 31).map((seq) => `hidden ${seq}`),
    );
  });

  test('what is done to another tenant is neither read nor told', async () => {
    await bench.tamper(
      `UPDATE audit.records SET event_bytes = '{}' WHERE tenant_id = 'zeta' AND seq = 3`,
    );
    const made = await bench.ask();
    expect(made.verdict).toBe('intact');
    expect(JSON.stringify(made)).not.toContain('zeta');
    expect(JSON.stringify(made)).not.toContain(ZETA);
  });
});
