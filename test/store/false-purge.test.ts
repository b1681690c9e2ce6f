/**
 * What a superuser could pass off as a purge is found, with its kind and the first row; and whatever
 * holds and purges there are, in any order, store and verifier agree with a plain model of them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkPurgeModel } from '../support/purge-model.ts';
import { events, openPurgeStore, type PurgeStore } from '../support/purge-store.ts';
import { preview, runPurge, type PurgeableStream } from '../support/purging.ts';
import { stepPurge } from '../../store/retention.ts';
import { createSealer } from './sealed.ts';

let bench: PurgeStore;
let clients: PurgeStore['clients'];

beforeAll(async () => {
  bench = await openPurgeStore();
  ({ clients } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

const makeStream = (count: number): Promise<PurgeableStream> => bench.makeStream(events(count));
const hold = (of: PurgeableStream, actor: string): Promise<string> => bench.hold(of, { actor });
const verify = (of: PurgeableStream): ReturnType<PurgeStore['verify']> => bench.verify(of);

/** What an attacker does, with every trigger out of the way. */
async function attack(of: PurgeableStream, ...statements: readonly string[]): Promise<void> {
  for (const table of ['records', 'stubs'])
    await clients.admin.query(`ALTER TABLE audit.${table} DISABLE TRIGGER USER`);
  for (const sql of statements) {
    const id = `(SELECT stream_id FROM audit.streams WHERE stream = '${of.stream}')`;
    const done = await clients.admin.query(sql.replaceAll('$ID', id));
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
      await runPurge(
        clients.retention,
        await of.recordPurge(await preview(clients.retention, of.stream, 512)),
      );
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
      const said = await preview(clients.retention, of.stream, 512);
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

test('a purge that another agent, class or tenant has on record excuses nothing, and frees nothing', async () => {
  const incarnation = 'b'.repeat(32);
  const [agent, label] = [`sealtrail/other/${incarnation}`, 'c'.repeat(16)];
  for (const name of ['agent', 'class', 'tenant'] as const) {
    const of = await makeStream(600);
    const tenant = of.records[0]?.event.resource.tenant_id ?? '';
    const by = {
      agent: createSealer(`${agent}/${label}/standard`, tenant),
      class: createSealer(`sealtrail/test/${incarnation}/${label}/audit`, tenant),
      tenant: createSealer(`sealtrail/test/${incarnation}/${label}/standard`, 'elsewhere'),
    }[name];
    const said = await preview(clients.retention, of.stream, 512);
    const record = await of.recordPurge(said, (same) => same, 600, by);
    expect(await stepPurge(clients.retention, record, 256), name).toMatchObject({
      error: { kind: 'refused', message: expect.stringContaining('is no record') as string },
    });
    expect(await verify(of), name).toMatchObject({ verdict: 'intact', findings: [] });
    await attack(of, 'DELETE FROM audit.records WHERE stream_id = $ID AND seq < 512');
    const found = await verify(of);
    expect(found.findings, name).toMatchObject([{ kind: 'deleted', seq: 512 }]);
    expect(found.notes.join(), name).toContain('it excuses nothing');
  }
});

test('any holds and purges, in any order: what is left is what a plain model has left', async () => {
  await checkPurgeModel(bench, { numRuns: 6 });
});
