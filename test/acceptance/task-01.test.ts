/** Task 1: one complete event, one line, in a sink apart from the application's log. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import type { RecordReceipt } from '../../sdk/index.ts';
import { runCli } from '../support/agent-process.ts';
import { describeTask } from './criterion.ts';
import { startService, type Service } from './service.ts';
import { at, draft, openTrail, type Trail } from './trail.ts';

let trail: Trail;
let service: Service;

beforeAll(async () => {
  trail = await openTrail();
  service = await startService(trail.agent.dir, (app) => {
    app.get('/export', async (request) => {
      request.log.info('APP-LINE export asked for');
      return trail.audit.record(draft({ metadata: { marker: 'AUDIT-LINE' } }));
    });
  });
  // The first event of a stream is preceded by its genesis record; later ones stand alone.
  await trail.audit.record(draft());
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await trail[Symbol.asyncDispose]();
});

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describeTask(1, (criterion) => {
  criterion('a valid call gives exactly one compact line with every required field', async () => {
    const before = linesOf(await trail.ledgerText());
    const receipt = await trail.audit.record(draft());
    const added = linesOf(await trail.ledgerText()).slice(before.length);
    expect(added).toHaveLength(1);
    const line = added[0]!;
    expect(JSON.stringify(JSON.parse(line))).toBe(line);
    const { event } = JSON.parse(line);
    expect(event).toMatchObject({
      schema_version: '1.0',
      event_id: receipt.event_id,
      event: { action: 'customer.export', category: 'data_access', outcome: 'success' },
      actor: { type: 'user', id: 'u-17', name: 'Ada' },
      resource: { type: 'customer', id: 'c-4' },
    });
    expect(event.event.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Math.abs(Date.parse(event.event.time) - Date.now())).toBeLessThan(60_000);
    // One line in each sink as well.
    for (const [format, id] of [
      ['ecs', 'event.id'],
      ['ocsf', 'metadata.uid'],
    ] as const) {
      const documents = await trail.siem(format);
      expect(documents.filter((one) => at(one, id) === receipt.event_id)).toHaveLength(1);
    }
  });

  criterion('a call without outcome is refused, and nothing is written', async () => {
    const { outcome: _, ...withoutOutcome } = draft();
    const { id: __, ...actor } = draft().actor!;
    const halves = [withoutOutcome, { ...draft(), outcome: '' }, { ...draft(), actor }];
    const before = await written();
    for (const half of halves) {
      // A program in plain JavaScript can pass anything.
      const refused = trail.audit.record(half as ReturnType<typeof draft>);
      await expect(refused).rejects.toMatchObject({ code: 'incomplete_event', recorded: 'no' });
    }
    const emitted = await runCli(['emit', '--data-dir', trail.agent.dir], {
      input: `${JSON.stringify(withoutOutcome)}\n`,
    });
    expect(emitted.code).toBe(1);
    expect(emitted.stderr).toMatch(/line 1: incomplete_event: outcome is missing/);
    expect(await written()).toEqual(before);
  });

  criterion('app log and audit sink are separate, in both directions', async () => {
    const receipt = (await (await fetch(`${service.url}/export`)).json()) as RecordReceipt;
    const audit = [
      await trail.ledgerText(),
      JSON.stringify(await trail.siem('ecs')),
      JSON.stringify(await trail.siem('ocsf')),
    ];
    for (const text of audit) {
      expect(text).toContain(receipt.event_id);
      expect(text).toContain('AUDIT-LINE');
      expect(text).not.toContain('APP-LINE');
    }
    const app = [await readFile(service.logFile, 'utf8'), trail.agent.output()];
    expect(app[0]).toContain('APP-LINE');
    for (const text of app) {
      expect(text).not.toContain(receipt.event_id);
      expect(text).not.toContain('AUDIT-LINE');
    }
  });

  criterion('two calls in a row give two event ids', async () => {
    const [first, second] = await Promise.all([
      trail.audit.record(draft()),
      trail.audit.record(draft()),
    ]);
    expect(second.event_id).not.toBe(first.event_id);
    const ids = (await trail.ledger()).map(({ event }) => event.event_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  criterion('events 1 ms apart sort by event_id alone', async () => {
    let nowMs = Date.now();
    const audit = await trail.openAudit({ clock: { nowMs: () => nowMs } });
    const recorded: Promise<RecordReceipt>[] = [];
    for (let count = 0; count < 50; count++) {
      recorded.push(audit.record(draft()));
      nowMs += 1;
      // The clock of a host may step back; ids go on rising.
      if (count === 30) nowMs -= 10;
    }
    const ids = (await Promise.all(recorded)).map(({ event_id }) => event_id);
    expect(ids.toSorted()).toEqual(ids);
    const times = (await trail.ledger())
      .filter(({ event }) => event.event_id === ids[0] || event.event_id === ids[1])
      .map(({ event }) => Date.parse(event.event.time));
    expect(times[1]! - times[0]!).toBe(1);
  });

  criterion('source is filled from the request: ip, user agent, service, version', async () => {
    const answer = await fetch(`${service.url}/export`, { headers: { 'user-agent': 'till/7' } });
    const { event_id } = (await answer.json()) as RecordReceipt;
    const record = (await trail.ledger()).find(({ event }) => event.event_id === event_id);
    expect(record?.event.source).toEqual({
      ip: '127.0.0.1',
      user_agent: 'till/7',
      service: 'shop',
      service_version: '2.3.4',
    });
  });
});

/** Everything that a write would change. */
async function written(): Promise<object> {
  const [ecs, ocsf] = [await trail.siem('ecs'), await trail.siem('ocsf')];
  const { append, acks_total } = await trail.agent.status();
  const ledger = await trail.ledgerText();
  return { records: append.records, acks_total, ledger, ecs: ecs.length, ocsf: ocsf.length };
}
