/** Task 3: request_id and trace_id come from the context and join application log and audit event. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';
import type { SealedEvent } from '../../schemas/record.ts';
import { downstreamHeaders } from '../../sdk/fastify.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { startService, type AppLine, type Service } from './service.ts';
import { draft, openTrail, type Trail } from './trail.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const HEADERS = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` };
/** Requests at once in the experiment without correlation. */
const CONCURRENT = 50;

let trail: Trail;
let shop: Service;
let billing: Service;
/** Lets the requests of the experiment go on once all of them have logged. */
let gate = createGate(CONCURRENT);

beforeAll(async () => {
  trail = await openTrail();
  billing = await startService(
    trail.agent.dir,
    (app) => {
      app.get('/charge', async (request) => {
        request.log.info('card charged');
        return trail.audit.record(draft({ action: 'payment.charge' }));
      });
    },
    'billing',
  );
  shop = await startService(
    trail.agent.dir,
    (app) => {
      app.get('/export', async (request) => {
        request.log.info('customer exported');
        await trail.audit.record(draft());
        return {};
      });
      app.get('/checkout', async () =>
        (await fetch(`${billing.url}/charge`, { headers: downstreamHeaders() })).json(),
      );
      app.get('/crowd', async (request) => {
        request.log.info('export under way');
        await gate.pass();
        await trail.audit.record(draft({ metadata: { crowd: true } }));
        return {};
      });
    },
    'shop',
  );
});
afterAll(async () => {
  await shop[Symbol.asyncDispose]();
  await billing[Symbol.asyncDispose]();
  await trail[Symbol.asyncDispose]();
});

/** One request: its request id, its line in the application log, its event. */
async function request(path: string, headers: { readonly [name: string]: string } = {}) {
  const answer = await fetch(shop.url + path, { headers });
  const requestId = answer.headers.get('x-request-id') ?? '';
  return {
    requestId,
    lines: [...shop.log(), ...billing.log()].filter(({ request_id }) => request_id === requestId),
    events: (await trail.ledger())
      .map(({ event }) => event)
      .filter(({ correlation }) => correlation.request_id === requestId),
  };
}

describeTask(3, (criterion) => {
  criterion('app log and audit event of one request share the request_id', async () => {
    await request('/checkout');
    const { requestId, lines, events } = await request('/export');
    expect(requestId).toMatch(/^[0-9A-Z]{26}$/);
    expect(lines.map(({ msg }) => msg)).toEqual(['customer exported']);
    expect(events.map(({ event }) => event.action)).toEqual(['customer.export']);
    expect(events[0]?.correlation.trace_id).toBe(lines[0]?.trace_id);
    // No id was passed by hand: another request has others.
    expect((await request('/export')).requestId).not.toBe(requestId);
  });

  criterion('an inbound traceparent is reflected in both', async () => {
    const { lines, events } = await request('/export', HEADERS);
    expect(lines.map(({ trace_id }) => trace_id)).toEqual([TRACE_ID]);
    expect(events.map(({ correlation }) => correlation.trace_id)).toEqual([TRACE_ID]);
  });

  criterion('grep for a request_id over both sinks gives the matching pair', async () => {
    const { requestId } = await request('/export');
    const ecs = join(trail.agent.dir, 'siem/ecs.ndjson');
    await trail.agent.delivered();
    const grep = await promisify(execFile)('grep', ['-h', requestId, shop.logFile, ecs]);
    const found = grep.stdout.trimEnd().split('\n');
    expect(found).toHaveLength(2);
    expect(found[0]).toContain('"msg":"customer exported"');
    expect(found[1]).toContain('customer.export');
  });

  criterion('a call downstream carries the same trace_id on', async () => {
    const traceparent = HEADERS.traceparent.replace(TRACE_ID, 'c'.repeat(32));
    const { lines, events, requestId } = await request('/checkout', { traceparent });
    expect(lines.map(({ msg, trace_id }) => [msg, trace_id])).toEqual([
      ['card charged', 'c'.repeat(32)],
    ]);
    expect(events.map(({ event, correlation }) => [event.action, correlation])).toMatchObject([
      ['payment.charge', { trace_id: 'c'.repeat(32), request_id: requestId }],
    ]);
  });

  criterion(
    'without correlation: by timestamp alone the pair is ambiguous, by id it is exact',
    async (say) => {
      gate = createGate(CONCURRENT);
      await Promise.all(Array.from({ length: CONCURRENT }, () => fetch(`${shop.url}/crowd`)));
      const lines = shop.log().filter(({ msg }) => msg === 'export under way');
      const events = (await trail.ledger())
        .map(({ event }) => event)
        .filter(({ metadata }) => metadata['crowd'] === true);
      expect([lines.length, events.length]).toEqual([CONCURRENT, CONCURRENT]);

      const byId = time(() => events.map((event) => lines.filter((line) => isPair(line, event))));
      expect(byId.result.map((pairs) => pairs.length)).toEqual(events.map(() => 1));

      // An investigator without ids takes the lines near in time: near enough not to miss the right one.
      const distance = (line: AppLine, event: SealedEvent): number =>
        Math.abs(Date.parse(event.event.time) - line.time);
      const windowMs = Math.max(...events.map((event, n) => distance(byId.result[n]![0]!, event)));
      const byTime = time(() =>
        events.map((event) => lines.filter((line) => distance(line, event) <= windowMs)),
      );
      const candidates = byTime.result.map((near) => near.length);
      const mean = candidates.reduce((sum, count) => sum + count, 0) / CONCURRENT;
      const nearest = events.filter((event) => {
        const guess = lines.toSorted((a, b) => distance(a, event) - distance(b, event))[0];
        return guess !== undefined && isPair(guess, event);
      });
      expect(candidates.filter((count) => count > 1).length).toBeGreaterThan(CONCURRENT / 2);
      expect(nearest.length).toBeLessThan(CONCURRENT / 2);
      say(
        `${CONCURRENT} requests at once: by time ${mean.toFixed(0)} candidates each, the nearest is right ` +
          `${nearest.length} times (${byTime.ms} ms and a person to decide); by id ${CONCURRENT} of ${CONCURRENT} (${byId.ms} ms)`,
      );
      expectDefence('docs/INVESTIGATIONS.md', 'Join by id, not by time', {
        says: [/request_id/, /trace_id/, /concurren/],
        names: ['sdk/context.ts', 'sdk/http-context.ts'],
      });
    },
  );
});

function isPair(line: AppLine, { correlation }: SealedEvent): boolean {
  return line.request_id === correlation.request_id;
}

function time<T>(work: () => T): { readonly result: T; readonly ms: string } {
  const startMs = performance.now();
  const result = work();
  return { result, ms: (performance.now() - startMs).toFixed(2) };
}

/** Everybody waits until `count` have come. */
function createGate(count: number): { pass(): Promise<void> } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  let waiting = 0;
  return {
    pass: () => {
      waiting += 1;
      if (waiting === count) open();
      return opened;
    },
  };
}
