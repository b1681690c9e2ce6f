/** What a superuser does to the store with its triggers off is found, named by stream and seq. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Verification } from '../../ledger/examination.ts';
import { rehash } from '../../ledger/content-check.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { createSealer } from './sealed.ts';
import { acme, OF_ACME, openVerifyBench, spare, zeta, type VerifyBench } from './verify-bench.ts';

let bench: VerifyBench;
beforeAll(async () => {
  bench = await openVerifyBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(async () => {
  const untouched = await verifyStore({ url: bench.server.url('auditor') });
  expect(untouched).toMatchObject({ verdict: 'intact', records: 18, findings: [] });
});
afterEach(() => bench.restore());

function acmeOf(verification: Verification) {
  return verification.streams.find(({ stream }) => stream === acme.stream);
}

describe('the chain', () => {
  test('a changed event: that row is named, and nothing from it on is proven', async () => {
    await bench.edit(5, `event_bytes = replace(event_bytes, '"amount":5', '"amount":6')`);
    const found = await bench.verify();
    expect(found).toMatchObject({ verdict: 'broken', findings_total: 1 });
    expect(found.findings).toMatchObject([
      { kind: 'modified', stream: acme.stream, seq: 5, segment: 'audit.records', line: 6 },
    ]);
    expect(acmeOf(found)).toMatchObject({ verified_to: 4, unproven: 7, records: 12 });
    const others = found.streams.filter(({ stream }) => stream !== acme.stream);
    expect(others).toMatchObject([{ unproven: 0 }, { unproven: 0 }]);
  });

  test('a changed event, hashed again: its successor links to another record', async () => {
    await bench.forge(5, (text) => text.replace('"amount":5', '"amount":6'));
    const found = await bench.verify();
    expect(found.findings).toMatchObject([{ kind: 'modified', stream: acme.stream, seq: 6 }]);
    expect(acmeOf(found)).toMatchObject({ verified_to: 4, unproven: 7 });
  });

  test.each([0, 4, 10])('a deleted row: seq %i is missed', async (seq) => {
    await bench.admin.query(`DELETE FROM audit.records WHERE ${OF_ACME} AND seq = ${seq}`);
    const found = await bench.verify();
    expect(found.findings).toMatchObject([{ kind: 'deleted', seq: seq + 1 }]);
    expect(found.findings[0]?.message).toContain(`the record of seq ${seq} is missing`);
    expect(acmeOf(found)?.verified_to).toBe(seq === 0 ? null : seq - 1);
  });

  test('a forged row with a valid hash, linked to its predecessor, is told from the genuine one', async () => {
    const { eventText, prev_hash } = bench.records[6]!;
    const text = eventText.replace('"amount":6', '"amount":600');
    await bench.admin.query(
      `INSERT INTO audit.records (stream_id, seq, duplicate, occurred_at, received_at, event_id,
         tenant_id, actor_type, actor_id, on_behalf_of_id, action, category, outcome, resource_type,
         resource_id, request_id, trace_id, prev_hash, this_hash, event_bytes)
       SELECT stream_id, seq, true, occurred_at + interval '1 ms', received_at, event_id,
         tenant_id, actor_type, actor_id, on_behalf_of_id, action, category, outcome, resource_type,
         resource_id, request_id, trace_id, prev_hash, decode($1, 'hex'), $2
       FROM audit.records WHERE ${OF_ACME} AND seq = 6`,
      [rehash(prev_hash, text), text],
    );
    const found = await bench.verify();
    expect(found.findings).toMatchObject([
      { kind: 'inserted', stream: acme.stream, seq: 6, line: 8 },
      { kind: 'column_differs', column: 'occurred_at', seq: 6, line: 8 },
    ]);
    expect(acmeOf(found)).toMatchObject({ verified_to: 5, unproven: 7 });
  });

  test('two rows that changed places', async () => {
    await bench.edit(3, 'seq = 1000');
    await bench.edit(4, 'seq = 3');
    await bench.edit(1000, 'seq = 4');
    const found = await bench.verify();
    expect(found.findings).toMatchObject([
      { kind: 'reordered', seq: 4, line: 4 },
      { kind: 'column_differs', column: 'seq', seq: 3, line: 4 },
      { kind: 'reordered', seq: 3, line: 5 },
      { kind: 'column_differs', column: 'seq', seq: 4, line: 5 },
    ]);
    expect(acmeOf(found)).toMatchObject({ verified_to: 2, unproven: 9 });
  });

  test('a member that stands twice, hashed again', async () => {
    await bench.forge(11, (text) => text.replace('"amount":11', '"amount":99,"amount":11'));
    expect((await bench.verify()).findings).toMatchObject([{ kind: 'bytes_differ', seq: 11 }]);
  });

  test('bytes that are no event at all', async () => {
    await bench.edit(5, `event_bytes = '{}'`);
    const found = await bench.verify();
    expect(found.findings[0]).toMatchObject({ kind: 'malformed', stream: acme.stream, seq: 5 });
    await bench.edit(
      5,
      `event_bytes = '{"chain":{"producer":{"id":"p","seq":0},"seq":5,"stream":"agent/1/acme"}}'`,
    );
    expect((await bench.verify()).findings.map(({ kind }) => kind)).toContain('modified');
  });

  test('a row filed under another stream', async () => {
    await bench.edit(
      11,
      `stream_id = (SELECT stream_id FROM audit.streams WHERE stream = 'agent/2/zeta')`,
    );
    const found = await bench.verify();
    expect(found.findings).toMatchObject([
      { kind: 'column_differs', column: 'stream_id', stream: 'agent/2/zeta', seq: 11 },
    ]);
    expect(await bench.verify('agent/2/zeta')).toMatchObject({ verdict: 'broken' });
  });

  test('a whole stream unhooked from audit.streams', async () => {
    await bench.admin.query(`DELETE FROM audit.streams WHERE stream = 'agent/1/acme'`);
    const found = await bench.verify();
    expect(found).toMatchObject({ verdict: 'broken', records: 6 });
    expect(found.findings[0]?.message).toContain('12 rows belong to no stream');
  });
});

describe('the columns', () => {
  const EDITS: readonly (readonly [string, string])[] = [
    ['event_id', `'01K00000000000000000000000'`],
    ['tenant_id', `'zeta'`],
    ['actor_type', `'admin'`],
    ['actor_id', `'u-0'`],
    ['on_behalf_of_id', 'NULL'],
    ['action', `'customer.read'`],
    ['category', `'authentication'`],
    ['outcome', `'denied'`],
    ['resource_type', `'invoice'`],
    ['resource_id', `'c-2'`],
    ['request_id', 'NULL'],
    ['trace_id', `repeat('f', 32)`],
    ['occurred_at', `occurred_at + interval '1 day'`],
    ['occurred_at', `occurred_at + interval '1 us'`],
    ['occurred_at', `'infinity'`],
    ['received_at', `received_at - interval '1 year'`],
  ];

  test.each(EDITS)('%s set to %s is named, with the chain intact', async (column, value) => {
    await bench.edit(10, `${column} = ${value}`);
    const found = await bench.verify();
    expect(found.verdict).toBe('broken');
    expect(found.findings).toMatchObject([
      { kind: 'column_differs', column, stream: acme.stream, seq: 10 },
    ]);
    expect(acmeOf(found)).toMatchObject({ verified_to: 11, unproven: 0 });
  });

  test('a number that queries would page by, in the right order still', async () => {
    await bench.edit(11, 'seq = 9000');
    const found = await bench.verify();
    expect(found.findings).toMatchObject([{ kind: 'column_differs', column: 'seq', seq: 9000 }]);
    expect(acmeOf(found)).toMatchObject({ verified_to: 11, unproven: 0 });
  });

  test('an event hidden from every query by the mark of a repetition', async () => {
    await bench.edit(5, 'duplicate = true');
    const shown = await bench.admin.query(`SELECT FROM audit.events WHERE tenant_id = 'acme'`);
    expect(shown.rowCount).toBe(11);
    expect((await bench.verify()).findings).toMatchObject([
      { kind: 'column_differs', column: 'duplicate', stream: acme.stream, seq: 5 },
    ]);
  });

  test('a repetition shown a second time', async () => {
    await bench.admin.query('UPDATE audit.records SET duplicate = false WHERE duplicate');
    expect((await bench.verify()).findings).toMatchObject([
      { kind: 'column_differs', column: 'duplicate', stream: acme.stream, seq: 11 },
      { kind: 'column_differs', column: 'duplicate', stream: spare.stream, seq: 0 },
    ]);
  });

  test('a stream given to another tenant', async () => {
    await bench.admin.query(
      `UPDATE audit.streams SET tenant_id = 'zeta' WHERE stream = 'agent/1/acme'`,
    );
    expect((await bench.verify()).findings).toMatchObject([
      { kind: 'column_differs', column: 'streams.tenant_id', stream: acme.stream, seq: 0 },
    ]);
  });
});

describe('what a verdict covers', () => {
  test('an auditor verifies the own tenants, and no other tenant troubles the verdict', async () => {
    await bench.admin.query(`UPDATE audit.records SET outcome = 'denied' WHERE tenant_id = 'zeta'`);
    expect(await bench.verify()).toMatchObject({ verdict: 'broken', findings_total: 5 });
    const found = await bench.verify(undefined, bench.urlOf('alice'));
    expect(found).toMatchObject({ verdict: 'intact', records: 13 });
    expect(found.streams.map(({ stream }) => stream)).toEqual([acme.stream, spare.stream]);
    expect(await bench.verify(zeta.stream, bench.urlOf('alice'))).toMatchObject({
      verdict: 'cannot_tell',
    });
  });

  test('one stream can be asked for; one that is not there gives no verdict', async () => {
    expect(await bench.verify(acme.stream)).toMatchObject({ verdict: 'intact', records: 12 });
    const none = await bench.verify('agent/9/none');
    expect(none).toMatchObject({ verdict: 'cannot_tell', records: 0 });
    expect(none.notes.join()).toContain('agent/9/none');
  });

  test('a store that cannot be reached gives no verdict', async () => {
    const away = await verifyStore({ url: 'postgresql://x:y@127.0.0.1:1/sealtrail' });
    expect(away.verdict).toBe('cannot_tell');
    const stranger = await bench.verify(undefined, bench.urlOf('nobody'));
    expect(stranger.notes.join()).toContain('cannot be read');
  });

  test('an act recorded under the id of an earlier event is pointed out, though the chain is intact', async () => {
    const [first, second] = [
      createSealer('agent/5/a', 'reuse'),
      createSealer('agent/6/b', 'reuse'),
    ];
    const event = first.seal();
    const { event_id } = event.event;
    await bench.store.appendRecords([event, second.seal({ event_id })]);
    expect((await bench.verify()).notes).toEqual([]);
    const done = await bench.store.appendRecords([
      second.seal({ event_id, action: 'customer.delete' }),
    ]);
    expect(done).toMatchObject({ value: { stored: 1, duplicates: 1 } });
    const found = await bench.verify();
    expect(found).toMatchObject({ verdict: 'intact', records: 21 });
    expect(found.notes).toEqual([expect.stringContaining('stream agent/6/b seq 1 carries the id')]);
  });

  test('of a time the records received in it are read whole, of those around them the hashes', async () => {
    const at = (hour: number): string => new Date(Date.UTC(2025, 0, 1, hour)).toISOString();
    const sealer = createSealer(undefined, 'timed');
    const timed = Array.from({ length: 24 }, (_, hour) => sealer.seal({ receivedAt: at(hour) }));
    await bench.store.appendRecords(timed);
    const options = {
      ...{ url: bench.server.url('auditor'), stream: sealer.stream },
      range: { since: at(6), until: at(9) },
    };
    const both = async (): Promise<Verification> => {
      const byRow = await verifyStore(options);
      expect(await verifyStore({ ...options, connections: 2, rangeRecords: 5 })).toEqual(byRow);
      return byRow;
    };
    const good = await both();
    // The records on either side show that these are all.
    expect(good).toMatchObject({ verdict: 'intact', records: 5 });
    expect(good.streams).toMatchObject([{ verified_to: 23, unproven: 0 }]);
    expect(good.notes).toEqual([expect.stringContaining('records 6 to 8 were read whole')]);
    const set = (seq: number, to: string) =>
      bench.admin.query(
        `UPDATE audit.records SET ${to} WHERE stream_id = (SELECT stream_id FROM audit.streams WHERE stream = $1) AND seq = $2`,
        [sealer.stream, seq],
      );
    const give = (tenant: string) =>
      bench.admin.query('UPDATE audit.streams SET tenant_id = $1 WHERE stream = $2', [
        tenant,
        sealer.stream,
      ]);
    // Whoever may see all tenants sees those that have a stream.
    await bench.admin.query(
      "INSERT INTO audit.streams (stream, tenant_id) VALUES ('agent/7/timed', 'timed')",
    );
    await give('zeta');
    expect((await both()).findings).toMatchObject([{ column: 'streams.tenant_id', seq: 5 }]);
    await give('timed');
    await set(20, `outcome = 'denied'`);
    expect(await both(), 'outside').toMatchObject({ verdict: 'intact' });
    await set(7, `outcome = 'denied'`);
    expect((await both()).findings).toMatchObject([{ kind: 'column_differs', seq: 7 }]);
    await set(7, `outcome = 'success', duplicate = true`);
    expect((await both()).findings).toMatchObject([{ column: 'duplicate', seq: 7 }]);
    await set(7, `outcome = 'denied', duplicate = false`);
    await set(15, `this_hash = sha256('x')`);
    expect((await both()).findings.map(({ seq }) => seq)).toEqual([7, 16]);
    const none = await verifyStore({ ...options, range: { since: at(100), until: null } });
    expect(none).toMatchObject({ verdict: 'cannot_tell' });
  });

  test('what is added while it reads is no finding, and progress is told', async () => {
    const sealer = createSealer(undefined, 'busy');
    const many = Array.from({ length: 6_000 }, () => sealer.seal());
    await bench.store.appendRecords(many.slice(0, 3_000));
    const progress: number[] = [];
    let adding: Promise<unknown> | null = null;
    const found = await verifyStore({
      ...{ url: bench.server.url('auditor'), connections: 2, rangeRecords: 500 },
      onProgress: (done, total) => {
        progress.push(done);
        expect(total).toBe(3_018);
        adding ??= bench.store.appendRecords(many.slice(3_000));
      },
    });
    expect(found).toMatchObject({ verdict: 'intact', records: 3_018 });
    expect(progress.at(-1)).toBe(3_018);
    expect(progress.length).toBeGreaterThan(3);
    expect(await adding).toMatchObject({ ok: true });
  });
});
