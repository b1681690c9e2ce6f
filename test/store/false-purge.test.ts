/**
 * What a superuser could pass off as a purge is found, with its kind and the first row; and whatever
 * holds and purges there are, in any order, store and verifier agree with a plain model of them.
 */
import fc from 'fast-check';
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liftHold, placeHold } from '../../store/holds.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { setClasses } from '../../store/retention-policy.ts';
import type { Store } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import {
  createPurgeableStream,
  preview,
  runPurge,
  type PurgeableStream,
} from '../support/purging.ts';

let server: TestPostgres;
let store: Store;
let [retention, legal, admin]: pg.Client[] = [];
let labels = 0;

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.migrate()).toMatchObject({ ok: true });
  const connect = async (role: 'owner' | 'retention' | 'legal' | 'admin'): Promise<pg.Client> => {
    const client = new pg.Client(server.url(role));
    await client.connect();
    return client;
  };
  const owner = await connect('owner');
  await setClasses(owner, [{ class: 'standard', regime: 'own', days: 30 }], 'test');
  await owner.end();
  [retention, legal, admin] = await Promise.all([
    connect('retention'),
    connect('legal'),
    connect('admin'),
  ]);
});

afterAll(async () => {
  for (const client of [retention, legal, admin]) await client?.end();
  await store.close();
  await server.stop();
});

async function makeStream(count: number): Promise<PurgeableStream> {
  labels += 1;
  const made = createPurgeableStream(store, `t${labels}`, String(labels).padStart(16, '0'));
  await made.store(Array.from({ length: count }, (_, at) => ({ actor: `u-${at}` })));
  return made;
}

async function hold(of: PurgeableStream, actor: string): Promise<string> {
  const hold_id = ulid();
  const tenant = of.records[0]?.event.resource.tenant_id ?? '';
  const filter = { tenant, actor };
  await placeHold(legal!, { hold_id, matter: actor, reason: 'r', filter, placed_by: 'ada' });
  return hold_id;
}

const verify = (of: PurgeableStream) =>
  verifyStore({ url: server.url('auditor'), stream: of.stream });

/** What an attacker does, with every trigger out of the way. */
async function attack(of: PurgeableStream, ...statements: readonly string[]): Promise<void> {
  for (const table of ['records', 'stubs'])
    await admin!.query(`ALTER TABLE audit.${table} DISABLE TRIGGER USER`);
  for (const sql of statements) {
    const id = `(SELECT stream_id FROM audit.streams WHERE stream = '${of.stream}')`;
    const done = await admin!.query(sql.replaceAll('$ID', id));
    expect(done.rowCount, sql).toBeGreaterThan(0);
  }
}

const REDUCE = (where: string): readonly string[] => [
  `INSERT INTO audit.stubs SELECT stream_id, seq, tenant_id, prev_hash, this_hash, stream_id, 600
   FROM audit.records WHERE stream_id = $ID AND ${where}`,
  `DELETE FROM audit.records WHERE stream_id = $ID AND ${where}`,
];

describe('a false purge is found', () => {
  test('without a record of it: rows that are gone, and rows that were reduced to their hashes', async () => {
    const gone = await makeStream(600);
    expect(await verify(gone)).toMatchObject({ verdict: 'intact' });
    await attack(gone, 'DELETE FROM audit.records WHERE stream_id = $ID AND seq < 256');
    expect((await verify(gone)).findings).toMatchObject([{ kind: 'deleted', seq: 256, line: 1 }]);

    const reduced = await makeStream(300);
    await attack(reduced, ...REDUCE('seq BETWEEN 100 AND 110'));
    expect((await verify(reduced)).findings).toMatchObject([
      { kind: 'stub_without_purge', seq: 100, segment: 'audit.stubs' },
    ]);
  });

  test('beside a genuine one: more than it took, kept records, other hashes', async () => {
    const genuine = async (): Promise<PurgeableStream> => {
      const of = await makeStream(600);
      await hold(of, 'u-300');
      await hold(of, 'u-310');
      await runPurge(retention!, await of.recordPurge(await preview(retention!, of.stream, 512)));
      expect(await verify(of)).toMatchObject({ verdict: 'intact', findings: [] });
      return of;
    };
    const kinds = async (...statements: readonly string[]): Promise<readonly string[]> => {
      const of = await genuine();
      await attack(of, ...statements);
      return (await verify(of)).findings.map(({ kind, seq }) => `${kind} ${seq}`);
    };
    const beyond = await kinds(
      'DELETE FROM audit.records WHERE stream_id = $ID AND seq BETWEEN 512 AND 520',
    );
    expect(beyond).toContain('deleted 521');
    expect(await kinds(...REDUCE('seq BETWEEN 512 AND 520'))).toContain('stub_without_purge 512');
    expect(await kinds(...REDUCE('seq = 310'))).toEqual(['purge_mismatch 256']);
    expect(await kinds('DELETE FROM audit.records WHERE stream_id = $ID AND seq = 310')).toContain(
      'deleted 311',
    );
    // Two stubs agree with one another, and not with the tree.
    expect(
      await kinds(
        `UPDATE audit.stubs SET this_hash = sha256('x') WHERE stream_id = $ID AND seq = 400`,
        `UPDATE audit.stubs SET prev_hash = sha256('x') WHERE stream_id = $ID AND seq = 401`,
      ),
    ).toEqual(['purge_mismatch 511']);
    expect(await kinds('DELETE FROM audit.stubs WHERE stream_id = $ID AND seq < 300')).toContain(
      'deleted 300',
    );
  });

  test('with a record that does not match, or goes beyond its checkpoint', async () => {
    const forged = async (
      change: (said: Record<string, unknown>) => Record<string, unknown>,
      checkpointSize?: number,
    ): Promise<readonly string[]> => {
      const of = await makeStream(600);
      const said = await preview(retention!, of.stream, 512);
      await of.recordPurge(said, change, checkpointSize);
      await attack(of, 'DELETE FROM audit.records WHERE stream_id = $ID AND seq < 512');
      return (await verify(of)).findings.map(({ kind, seq }) => `${kind} ${seq}`);
    };
    expect(await forged((said) => said)).toEqual([]);
    const zeros = '0'.repeat(64);
    expect(await forged((said) => ({ ...said, base_hash: zeros }))).toEqual(['modified 512']);
    expect(await forged((said) => ({ ...said, range: [zeros] }))).toEqual(['purge_mismatch 512']);
    const both = { range: [zeros], base_range: [zeros] };
    expect(await forged((said) => ({ ...said, ...both }))).toEqual(['purge_mismatch 599']);
    expect(await forged((said) => said, 300)).toEqual(['purge_beyond_checkpoint 512']);
    expect(await forged((said) => ({ ...said, size: 256, base: 256 }))).toContain('deleted 512');
    expect(await forged((said) => ({ ...said, action: 'x', stream: 'y' }))).toContain(
      'deleted 512',
    );
  });
});

test('any holds and purges, in any order: what is left is what a plain model has left', async () => {
  const act = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('hold' as const), at: fc.nat(899) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('lift' as const), at: fc.nat(9) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('purge' as const),
        at: fc.integer({ min: 1, max: 3 }),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 8 }), async (acts) => {
      const of = await makeStream(900);
      const whole = new Set(of.records.keys());
      const holds: { id: string; seq: number }[] = [];
      let [size, base] = [0, 0];
      for (const { kind, at } of [...acts, { kind: 'purge' as const, at: 3 }]) {
        if (kind === 'hold') holds.push({ id: await hold(of, `u-${at}`), seq: at });
        else if (kind === 'lift') {
          const [lifted] = holds.splice(at % (holds.length + 1), 1);
          if (lifted !== undefined)
            await liftHold(legal!, { hold_id: lifted.id, reason: 'r', by: 'ada' });
        } else {
          const wanted = at * 256;
          if (wanted < size || base >= wanted) continue;
          const kept = holds.map(({ seq }) => seq).filter((seq) => seq < wanted && whole.has(seq));
          const said = await preview(retention!, of.stream, wanted);
          await runPurge(retention!, await of.recordPurge(said), 256);
          whole.add(of.records.length - 1);
          for (let seq = 0; seq < wanted; seq += 1) if (!kept.includes(seq)) whole.delete(seq);
          [size, base] = [
            wanted,
            kept.length === 0 ? wanted : Math.floor(Math.min(...kept) / 256) * 256,
          ];
        }
      }
      const places = async (table: string): Promise<number[]> => {
        const found = await admin!.query<{ seq: string }>(
          `SELECT seq FROM audit.${table} JOIN audit.streams USING (stream_id) WHERE stream = $1 ORDER BY seq`,
          [of.stream],
        );
        return found.rows.map(({ seq }) => Number(seq));
      };
      const rest = [...whole].sort((one, other) => one - other);
      expect(await places('records')).toEqual(rest);
      expect(await places('record_keys')).toEqual(rest);
      const stubs = Array.from({ length: size - base }, (_, at) => base + at);
      expect(await places('stubs')).toEqual(stubs.filter((seq) => !whole.has(seq)));
      expect(await verify(of)).toMatchObject({ verdict: 'intact', findings: [] });
    }),
    { numRuns: 6 },
  );
});
