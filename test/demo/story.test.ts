/** The story of the demonstration: the same for the same seed, of events that an agent takes, and true to its truth. */
import { beforeAll, expect, test } from 'vitest';
import { loadVocabularyFile } from '../../agent/config.ts';
import { operate } from '../../demo/operations.ts';
import { createRandom } from '../../demo/random.ts';
import { monthBefore } from '../../demo/scene.ts';
import { tellStory, type Story } from '../../demo/story.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import { VOCABULARY } from '../support/agent-process.ts';

const SEEDS = [1, 2, 3, 20, 4_000_000_000];
let vocabulary: Vocabulary;
let story: Story;

beforeAll(async () => {
  const loaded = await loadVocabularyFile(VOCABULARY);
  if (!loaded.ok) throw new Error('no vocabulary');
  vocabulary = loaded.value;
  story = tellStory(1, '2026-02', vocabulary);
});

test('the same seed and month tell the same, word for word, and another seed tells another', () => {
  const again = tellStory(1, '2026-02', vocabulary);
  expect(again).toEqual(story);
  const logs = (seed: number): string => operate(story.told, createRandom(seed)).spans.join();
  expect(logs(2)).toBe(logs(2));
  expect(tellStory(2, '2026-02', vocabulary).truth).not.toEqual(story.truth);
});

test.each(SEEDS)('seed %i: some thousand valid events, in order, within the month', (seed) => {
  const { told } = tellStory(seed, '2026-02', vocabulary);
  expect(told.length).toBeGreaterThan(2_000);
  const times = told.map(({ event }) => event.event.time);
  expect(times).toEqual(times.toSorted());
  for (const { event } of told) {
    expect(checkEvent(event)).toMatchObject({ ok: true });
    expect(event.event.time.slice(0, 7)).toBe('2026-02');
  }
  expect(new Set(told.map(({ event }) => event.event_id)).size).toBe(told.length);
  expect(new Set(told.map(({ event }) => event.resource.tenant_id)).size).toBe(3);
});

test.each(SEEDS)('seed %i: what the truth says of Alice follows from the tickets alone', (seed) => {
  const { told, truth } = tellStory(seed, '2026-02', vocabulary);
  const events = told.map(({ event }) => event);
  const isFinancial = (action: string): boolean =>
    vocabulary.actions.get(action)?.retention_class === 'financial';
  const outside = events
    .filter(
      ({ actor, event }) =>
        actor.id === 'u_admin_alice' && event.outcome === 'success' && isFinancial(event.action),
    )
    .filter(({ event, metadata }) => {
      const named = String(metadata['ticket'] ?? metadata['reason'] ?? '').split(':')[0];
      const acts = events
        .filter((one) => one.resource.type === 'ticket' && one.event.time <= event.time)
        .filter(
          (one) =>
            (named === '' || one.resource.id === named) &&
            one.metadata['customer'] === metadata['customer'],
        );
      const last = new Map(acts.map((one) => [one.resource.id, one]));
      return ![...last.values()].some(
        (one) =>
          one.event.action === 'ticket.assign' && one.metadata['assignee'] === 'u_admin_alice',
      );
    });
  expect(outside.map(({ event_id }) => event_id)).toEqual(
    truth.alice.outside.map(({ event_id }) => event_id),
  );
  expect(truth.alice.covered.length).toBeGreaterThan(20);
  expect(truth.alice.outside.map(({ event_id }) => event_id)).toContain(truth.hidden);
});

test('logs and traces carry the ids of their events, and of most requests there are none', () => {
  const { logs, spans } = operate(story.told, createRandom(2));
  const known = new Set(story.told.map(({ event }) => event.correlation.request_id));
  const requests = new Set(
    logs.map((line) => (JSON.parse(line) as { request_id: string }).request_id),
  );
  expect(requests.size).toBeGreaterThan(100);
  expect(requests.size).toBeLessThan(known.size / 4);
  for (const request of requests) expect(known.has(request)).toBe(true);
  expect(spans.length).toBeGreaterThan(requests.size * 2);
});

test('the month before January is December', () => {
  expect(monthBefore(Date.UTC(2026, 0, 31))).toBe('2025-12');
  expect(monthBefore(Date.UTC(2026, 10, 1))).toBe('2026-10');
});
