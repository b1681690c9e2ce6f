import * as fc from 'fast-check';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documentFormat } from '../../../agent/deliver/documents.ts';
import { createElasticsearchSink } from '../../../agent/deliver/sinks/elasticsearch.ts';
import type { DeliveryLoop } from '../../../agent/deliver/loop.ts';
import type { Sink } from '../../../agent/ports.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import {
  startElasticsearch,
  type ElasticsearchFault,
  type FakeElasticsearch,
} from '../../support/elasticsearch.ts';
import { startTestLoop, whenDelivered, writeLedger } from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { makeMemoryDir } from '../../support/ledger.ts';

const vocabulary = { version: 1, actions: new Map() } as const;

function openSink(endpoint: string, timeoutMs = 30_000): Sink {
  return createElasticsearchSink(
    {
      name: 'test',
      type: 'elasticsearch',
      endpoints: [endpoint],
      data_stream: 'logs-sealtrail.audit-default',
      format: 'ecs',
      gzip: true,
      batch_records_max: 8,
      batch_bytes_max: 1 << 20,
      timeout_ms: timeoutMs,
      retry: { initial_ms: 1, max_ms: 2, attempts_max: 0 },
      required: true,
    },
    documentFormat('ecs', vocabulary, { name: 'test', version: '1.0.0' }),
    Date.now,
  );
}

const fault: fc.Arbitrary<ElasticsearchFault> = fc.oneof(
  fc.record({
    kind: fc.constant('status' as const),
    status: fc.constantFrom(307, 400, 401, 403, 404, 429, 500, 502, 503),
    retryAfter: fc.constantFrom('0', '5', 'soon'),
  }),
  fc.constant<ElasticsearchFault>({ kind: 'status', status: 413 }),
  fc
    .record({
      status: fc.constantFrom(403, 404, 429, 500, 503),
      every: fc.integer({ min: 1, max: 4 }),
    })
    .map(({ status, every }): ElasticsearchFault => {
      let count = 0;
      return { kind: 'items', status, type: 'injected', when: () => count++ % every === 0 };
    }),
  ...(
    [
      'reset',
      'refuse',
      'trickle',
      'silence',
      'truncate',
      'missing_item',
      'shuffle',
      'page',
    ] as const
  ).map((kind) => fc.constant<ElasticsearchFault>({ kind })),
);

/** Documents with this resource are refused for their contents. */
const isPoison = (index: number): boolean => index % 9 === 4;

const refuses: NonNullable<Parameters<typeof startElasticsearch>[0]>['refuses'] = (document) => {
  const { resource } = document['sealtrail'] as { resource: { id: string } };
  return resource.id.startsWith('poison') ? `field's value: '${resource.id}'` : null;
};

async function idsByNumber(dir: string): Promise<string[]> {
  const names = (await nodeFilesystem.list(join(dir, 'ledger'))).filter((name) =>
    /^\d{20}\.ndjson$/.test(name),
  );
  const texts = await Promise.all(
    names.sort().map((name) => readFile(join(dir, 'ledger', name), 'utf8')),
  );
  return texts
    .join('')
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { event: { event_id: string } }).event.event_id);
}

/** Checks at every write of the cursor that nothing before it is missing, in the sink or set aside. */
function checkedFilesystem(
  dir: string,
  ids: readonly string[],
  server: FakeElasticsearch,
  violations: string[],
): Filesystem {
  return {
    ...nodeFilesystem,
    replace: async (path, bytes) => {
      const { next } = JSON.parse(String(bytes)) as { next: number };
      const letters = join(dir, 'dead-letter/test.ndjson');
      const aside = (await nodeFilesystem.exists(letters)) ? await readFile(letters, 'utf8') : '';
      const stored = new Set(server.eventIds());
      for (const [number, id] of ids.slice(0, next).entries()) {
        if (!stored.has(id) && !aside.includes(`"number":${number},`))
          violations.push(`cursor ${next} passed record ${number}`);
      }
      await nodeFilesystem.replace(path, bytes);
    },
  };
}

test('whatever the server does, every record arrives once or is a dead letter, and the cursor never lies', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fault, { maxLength: 14 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
      async (faults, restarts) => {
        await using temp = await makeMemoryDir();
        const durable = await writeLedger(temp.path, 40, {
          event: (index) => ({
            resource: {
              type: 'customer',
              id: isPoison(index) ? `poison-${index}` : `c-${index}`,
              tenant_id: 'acme',
            },
          }),
        });
        const ids = await idsByNumber(temp.path);
        const pending = [...faults];
        const due = [...restarts];
        let requests = 0;
        let crash: () => unknown = () => undefined;
        await using server = await startElasticsearch({
          refuses,
          fault: () => {
            requests += 1;
            if (due[0] !== undefined && requests % due[0] === 0) {
              due.shift();
              crash();
            }
            return pending.shift() ?? null;
          },
        });
        const violations: string[] = [];
        const filesystem = checkedFilesystem(temp.path, ids, server, violations);
        const start = (): Promise<DeliveryLoop> =>
          // A busy machine must be able to answer within it at times, and each silent fault waits so long.
          startTestLoop(temp.path, durable, openSink(server.url, 120), {
            filesystem,
            exporter: { batch_records_max: 8 },
          });
        let loop = await start();
        for (let left = restarts.length; left > 0; left--) {
          // A restart in the middle of a request, or none when all is done before.
          let isDue = false;
          crash = () => (isDue = true);
          await eventually(() => expect(isDue || loop.report().cursor === durable).toBe(true), 1);
          await loop.stop();
          loop = await start();
        }
        await whenDelivered(loop, durable);
        const letters = await loop.listDeadLetters(1_000);
        await loop.stop();

        expect(violations).toEqual([]);
        expect(server.violations).toEqual([]);
        const aside = letters.map(({ event_id }) => event_id);
        expect(new Set(aside).size).toBe(aside.length);
        const stored = server.eventIds();
        expect(new Set(stored).size).toBe(stored.length);
        expect([...new Set([...stored, ...aside])].sort()).toEqual([...ids].sort());
        // Both only where the answer that confirmed it was lost, and the repeat alone was told to be too large.
        for (const { event_id, reason } of letters)
          if (stored.includes(event_id)) expect(reason).toMatch(/413/);
        // Record 0 is the genesis; one that met a 413 alone is aside for that, poisonous or not.
        const poisonous = Array.from({ length: 40 }, (_, index) => index).filter(isPoison);
        const numbers = letters.map(({ number }) => number - 1);
        expect(numbers).toEqual(expect.arrayContaining(poisonous));
        for (const { number, reason } of letters)
          expect(reason).toMatch(isPoison(number - 1) ? /document_parsing|413/ : /413/);
        expect(JSON.stringify(letters)).not.toContain('poison-');
      },
    ),
    { numRuns: 40 },
  );
});

test('dead letters sent again leave when the sink takes them; refused again they stay, with the new reason', async () => {
  await using temp = await makeMemoryDir();
  const durable = await writeLedger(temp.path, 30, {
    event: (index) => ({
      resource: { type: 'r', id: index % 3 === 0 ? `a-${index}` : 'b', tenant_id: 'acme' },
    }),
  });
  const idOf = (document: Readonly<Record<string, unknown>>): string =>
    (document['sealtrail'] as { resource: { id: string } }).resource.id;
  await using server = await startElasticsearch({
    refuses: (document) =>
      idOf(document).startsWith('a-') ? 'failed to parse field [x.y] of' : null,
  });
  const loop = await startTestLoop(temp.path, durable, openSink(server.url));
  await whenDelivered(loop, durable);
  expect(await loop.listDeadLetters(100)).toHaveLength(10);

  // Nothing has changed at the sink: all stay.
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 0, remaining: 10 });
  expect((await loop.listDeadLetters(1))[0]).toMatchObject({ attempts: 2 });

  // The sink is away: all stay, and that is why.
  server.options.fault = () => ({ kind: 'status', status: 503 });
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 0, remaining: 10 });
  expect((await loop.listDeadLetters(1))[0]).toMatchObject({ reason: 'answered 503' });
  server.options.fault = () => null;

  // The mapping is mended for some.
  server.options.refuses = (document) =>
    idOf(document) === 'a-9' ? 'failed to parse field [z] of' : null;
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 9, remaining: 1 });
  expect(await loop.listDeadLetters(100)).toMatchObject([
    { reason: 'document_parsing_exception at z (400)', attempts: 4 },
  ]);
  expect(loop.report()).toMatchObject({ dead_letters: 1, delivered_total: durable - 1 });
  await loop.stop();

  // After a restart, without the ledger's segments, for good.
  server.options.refuses = () => null;
  const again = await startTestLoop(temp.path, durable, openSink(server.url));
  expect(again.report().dead_letters).toBe(1);
  expect(await again.retryDeadLetters()).toEqual({ delivered: 1, remaining: 0 });
  expect(await again.listDeadLetters(100)).toEqual([]);
  await again.stop();
  expect(server.documents.size).toBe(durable);
  expect(server.violations).toEqual([]);
});
