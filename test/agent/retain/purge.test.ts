/** The run of a purge over several streams, with a store that answers as the test says. */
import { expect, test } from 'vitest';
import { drawPlan, purgeAll, type PurgePorts } from '../../../agent/retain/purge.ts';

const [BAD, GOOD] = ['sealtrail/a/1/x/standard', 'sealtrail/a/1/y/standard'];
const row = (stream: string): object => ({
  ...{ stream, tenant_id: 't', class: 'standard', regime: 'r', days: 1, first_seq: '0' },
  ...{ next_seq: '600', expired_to: '600', purged_to: '0', stubs: '0' },
  ...{ pending_stream: stream, pending_seq: '599' },
});
const refused = (): never => {
  throw Object.assign(new Error('records are not in the store'), { code: 'SP002' });
};

const STORE_MS = Date.UTC(2026, 10, 1);

function portsOf(next = 600): PurgePorts {
  const progress = { size: 512, base: 512, done_to: 512, purged: 512, finished: true };
  const query = async (sql: string, [stream]: string[] = []): Promise<{ rows: object[] }> => {
    if (sql.includes('clock_timestamp')) return { rows: [{ now: new Date(STORE_MS) }] };
    if (sql.includes('retention_plan')) return { rows: [BAD, GOOD].map(row) };
    if (stream === BAD) return refused();
    if (sql.includes('audit.purge(')) return { rows: [{ progress }] };
    return { rows: [{ preview: { size: 512, records: 512, base: 512, kept: 0, matters: [] } }] };
  };
  const own = { next, signed: 600, anchored: 600 };
  return {
    store: { query } as never,
    ownStreams: async () => ({ ok: true, value: new Map([BAD, GOOD].map((one) => [one, own])) }),
    prove: () => Promise.reject(new Error('nothing is proven here')),
    record: () => Promise.reject(new Error('nothing is recorded here')),
    pause: () => Promise.resolve(),
    nowMs: () => STORE_MS + 1_000,
  };
}
const OPTIONS = { by: 'ada', placesMax: 256, waitMs: 0 };

test('a stream that is refused keeps no other one from its purge, and is told', async () => {
  const done = await purgeAll(portsOf(), OPTIONS);
  expect(done).toMatchObject({
    value: {
      done: [{ stream: GOOD, purged: 512 }],
      refusals: [`${BAD}: records are not in the store`],
    },
  });
});

test('the plan shows the others, and why that one stays', async () => {
  const plan = await drawPlan(portsOf());
  expect(plan).toMatchObject({
    value: [
      { stream: BAD, size: 0, waits: [expect.anything(), 'records are not in the store'] },
      { stream: GOOD, size: 512 },
    ],
  });
});

test('nothing is purged before the store has all that the agent has', async () => {
  expect(await purgeAll(portsOf(601), OPTIONS)).toMatchObject({
    error: expect.stringContaining('has not yet received') as string,
  });
});

test.each([-400, 400])(
  'a store whose clock is %i s off has nothing purged by it',
  async (seconds) => {
    const ports = { ...portsOf(), nowMs: () => STORE_MS + seconds * 1_000 };
    expect(await purgeAll(ports, OPTIONS)).toMatchObject({
      error: expect.stringContaining('set the clocks right') as string,
    });
  },
);
