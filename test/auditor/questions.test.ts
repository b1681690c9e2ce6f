/** Every question, against plain filters over the same events; page by page and as a stream; as a tenant's auditor. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnswerRow, Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { CATALOGUE } from '../../auditor/catalogue.ts';
import { SENSITIVE_ACTIONS } from '../../auditor/questions/parameters.ts';
import { createAnswerCheck } from '../../auditor/certificate/answer-check.ts';
import { actOf, type Original } from '../../auditor/certificate/repetitions.ts';
import { gatherRows } from '../../auditor/certificate/rows.ts';
import { factsOf } from '../../auditor/rules/facts.ts';
import { indexableResourceId } from '../../store/rows.ts';
import { CASES, openCatalogueStore, RANGES, type CatalogueStore } from './catalogue-store.ts';
import { compare, denials, RULES, silences, type OracleAsked } from './oracle.ts';

let store: CatalogueStore;
let auditor: Auditor;

beforeAll(async () => {
  store = await openCatalogueStore();
  auditor = createAuditor({ url: store.alice });
});
afterAll(async () => {
  auditor.close();
  await store[Symbol.asyncDispose]();
});

async function askPages(asked: Asked, limit: number): Promise<AnswerRow[]> {
  const rows: AnswerRow[] = [];
  let cursor: string | null = null;
  do {
    const page = await auditor.ask(asked, { limit, ...(cursor === null ? {} : { cursor }) });
    if (!page.ok) throw new Error(page.error.message);
    rows.push(...page.value.rows);
    cursor = page.value.next;
  } while (cursor !== null);
  return rows;
}

async function askStream(asked: Asked): Promise<AnswerRow[]> {
  const stream = await auditor.stream(asked);
  if (!stream.ok) throw new Error(stream.error.message);
  const rows: AnswerRow[] = [];
  for await (const batch of stream.value.batches) rows.push(...batch);
  return rows;
}

/** The rule that holds answers against records says the same as the statement. */
async function expectComplete(asked: Asked, rows: readonly AnswerRow[]): Promise<void> {
  const gathering = gatherRows(asked);
  for (const row of rows) gathering.take(row);
  const gathered = gathering.conclude();
  const shown = new Map<string, number[]>();
  for (const [stream, placed] of gathered.byStream)
    for (const { seq, row } of placed) shown.set(`${stream} ${seq}`, [row]);
  const ids = new Map(store.held.map(({ event, streamId }) => [event.chain.stream, streamId]));
  const first = new Set(store.held.map(({ event }) => `${event.chain.stream} ${event.chain.seq}`));
  const originals = new Map<string, Original>();
  for (const { event, eventText: text, this_hash } of store.records) {
    const { stream, seq } = event.chain;
    const at = { streamId: ids.get(stream) ?? 0, seq, this_hash };
    if (first.has(`${stream} ${seq}`))
      originals.set(event.event_id, { ...at, act: actOf(factsOf(event, text)) });
  }
  const check = createAnswerCheck(asked, originals);
  for (const { event, eventText: text, this_hash } of store.records) {
    const { stream, seq } = event.chain;
    const place = `${stream} ${seq}`;
    const streamId = ids.get(stream) ?? 0;
    const record = { stream, streamId, seq, this_hash, event, text };
    check.pass(record, false);
    check.take({ ...record, isRepetition: !first.has(place), rows: shown.get(place) ?? [] });
  }
  const since = Date.parse(asked.since);
  const mine = store.held.filter(({ event }) => event.resource.tenant_id === 'acme');
  const timeOf = ({ event }: (typeof mine)[number]): number => Date.parse(event.event.time);
  const checked = await check.conclude(gathered, {
    isThere: ({ actor, resourceType, resourceId, from, before }) =>
      Promise.resolve(
        mine.some((one) => {
          const { actor: who, resource } = one.event;
          if (who.id !== actor || resource.type !== resourceType) return false;
          return (
            (resourceId ?? indexableResourceId(resource.id)) === indexableResourceId(resource.id) &&
            timeOf(one) >= from &&
            timeOf(one) < Math.min(before, since)
          );
        }),
      ),
    ticketEvents: () =>
      Promise.resolve(
        mine
          .filter((one) => one.event.resource.type === 'ticket' && timeOf(one) < since)
          .map(({ event, streamId }) => ({
            ...factsOf(event, JSON.stringify(event)),
            ...{ stream: event.chain.stream, streamId, seq: event.chain.seq },
          })),
      ),
  });
  expect(checked.findings).toEqual([]);
  const { by = '', matching = 0, repeated = 0 } = checked.judged ?? {};
  if (by === 'rows') expect(matching - repeated).toBe(rows.length);
  expect(by).not.toBe('');
}

test('the cases ask every question but the one about gaps', () => {
  const asked = new Set(CASES.map(([question]) => question));
  expect(CATALOGUE.map(({ id }) => id).filter((id) => !asked.has(id))).toEqual(['producer-gaps']);
});

describe.each(RANGES)('%s to %s, %s', (since, until, timeZone) => {
  test.each(CASES)('%s %j: pages, stream and plain filter agree', async (question, parameters) => {
    const asked = { question, tenant: 'acme', since, until, timeZone, parameters };
    const rows = await askStream(asked);
    expect(await askPages(asked, 7)).toEqual(rows);
    await expectComplete(asked, rows);
    const mine = store.held
      .filter(({ event }) => event.resource.tenant_id === 'acme')
      .sort(compare);
    const plain: OracleAsked = {
      ...{ tenant: 'acme', p: parameters },
      ...{ since: Date.parse(since), until: Date.parse(until) },
    };
    const rule = RULES[question];
    if (rule === undefined) {
      const expected = question === 'silences' ? silences(mine, plain) : denials(mine, plain);
      const width = question === 'silences' ? 2 : 3;
      expect(rows.map(({ values }) => values.slice(0, width))).toEqual(expected);
      return;
    }
    const expected = mine.filter((one) => {
      const ms = Date.parse(one.event.event.time);
      return ms >= plain.since && ms < plain.until && rule(one, plain, mine, timeZone);
    });
    expect(rows.map(({ record }) => [record?.stream, record?.seq])).toEqual(
      expected.map(({ event }) => [event.chain.stream, event.chain.seq]),
    );
  });
});

test('in the whole range each of these questions finds something, and none finds all', async () => {
  const [since, until, timeZone] = RANGES[0];
  const all = store.held.filter(({ event }) => event.resource.tenant_id === 'acme').length;
  for (const [question, parameters] of CASES.slice(1)) {
    const asked = { question, tenant: 'acme', since, until, timeZone, parameters };
    const { length } = await askStream(asked);
    expect([question, length > 0 && length < all]).toEqual([question, true]);
  }
});

test('what is asked without actions is what the vocabulary keeps as health and financial data', () => {
  const path = join(import.meta.dirname, '../../config/vocabulary.json');
  const { actions } = JSON.parse(readFileSync(path, 'utf8')) as {
    actions: { action: string; retention_class: string }[];
  };
  const sensitive = actions.filter((one) => /^(health|financial)$/.test(one.retention_class));
  expect(SENSITIVE_ACTIONS).toEqual(sensitive.map(({ action }) => action));
  for (const name of ['ticket.assign', 'ticket.close'])
    expect(actions.map(({ action }) => action)).toContain(name);
});

describe('what cannot be asked is refused, with the parameter that is wrong', () => {
  const asked: Asked = {
    ...{ question: 'actor-activity', tenant: 'acme', parameters: { actor: 'u-1' } },
    ...{ since: RANGES[0][0], until: RANGES[0][1], timeZone: 'UTC' },
  };
  test.each([
    ['forbidden', 'tenant', { tenant: 'zeta' }],
    ['forbidden', 'tenant', { tenant: 'nobody' }],
    ['invalid', 'question', { question: 'actor-activty' }],
    ['invalid', 'actor', { parameters: {} }],
    ['invalid', 'actr', { parameters: { actr: 'u-1' } }],
    ['invalid', 'actor', { parameters: { actor: 'a\0b' } }],
    ['invalid', 'outcome', { parameters: { actor: 'u-1', outcome: 'denid' } }],
    ['invalid', 'time-zone', { timeZone: 'Mars/Olympus' }],
    ['invalid', 'time-zone', { timeZone: '+02:00' }],
    ['invalid', 'since', { since: '2026-10-01' }],
    ['invalid', 'until', { until: '2026-09-01T00:00:00Z' }],
    ['invalid', 'opens', { question: 'off-hours', parameters: { opens: '8' } }],
    ['invalid', 'minutes', { question: 'silences', parameters: { minutes: '0' } }],
  ])('%s %s %j', async (kind, parameter, change) => {
    expect((await auditor.ask(asked)).ok).toBe(true);
    const refused = await auditor.ask({ ...asked, ...change });
    expect(refused).toMatchObject({ ok: false, error: { kind, parameter } });
    expect(await auditor.stream({ ...asked, ...change })).toEqual(refused);
  });

  test('a cursor of another question, or of nobody', async () => {
    const all = { ...asked, question: 'all-activity', parameters: {} };
    const page = await auditor.ask(all, { limit: 1 });
    const next = page.ok ? page.value.next : null;
    expect(next).not.toBeNull();
    expect((await auditor.ask(all, { cursor: next! })).ok).toBe(true);
    for (const [one, cursor] of [
      [asked, next!],
      [all, 'x'],
      [all, btoa('["a","b","c","d"]')],
    ] as const)
      expect(await auditor.ask(one, { cursor })).toMatchObject({
        error: { kind: 'invalid', parameter: 'cursor' },
      });
  });
});
