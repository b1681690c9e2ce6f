/** Whatever is planted in an event, spool, audit_failure channel and alerts show none of it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import type { Json } from '../../schemas/event.ts';
import { AuditError, createAudit, type EventDraft } from '../../sdk/index.ts';
import { findForbidden } from '../support/deny-list.ts';
import { draft, TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';
import { anySecret, around, embed, secretName, word } from '../support/secrets.ts';

const RUNS = 12;
const EVENTS_PER_RUN = 25;
const dir = mkdtempSync(join(tmpdir(), 'sealtrail-spool-secrets-'));
const said: string[] = [];
const audit = createAudit({
  service: 'test',
  vocabulary: TEST_VOCABULARY,
  redactionKey: TEST_KEY,
  socketPath: join(dir, 'nobody.sock'),
  timeoutMs: 100,
  breaker: { forMs: 3_600_000 },
  spool: { dir: join(dir, 'spool'), afterMs: 10 },
  onAuditFailure: ({ error, ...rest }) =>
    said.push(JSON.stringify([rest, error.message, error.hint, error.code])),
});
afterAll(async () => {
  await audit.close();
  rmSync(dir, { recursive: true, force: true });
});

const action = fc.constantFrom('user.login', 'customer.export');
const places: readonly ((text: string) => Partial<EventDraft>)[] = [
  (text) => ({ metadata: { deep: [{ [text]: 1 }] } }),
  (text) => ({ metadata: { note: text } }),
  (text) => ({ actor: { type: 'user', id: text, name: text } }),
  (text) => ({ resource: { type: 'customer', id: text, name: text } }),
  (text) => ({ source: { user_agent: text } }),
  (text) => ({ correlation: { request_id: text } }),
  // Refused before it is queued.
  (text) => ({ metadata: { [text]: '\ud800' } }),
  (text) => ({ resource: { type: text, id: '' } }),
  (text) => ({ event_id: text }),
];
const embedded = fc
  .tuple(anySecret, fc.tuple(around, around), fc.constantFrom(...places), action)
  .map(([secret, [before, after], place, name]) => ({
    raw: secret.raw,
    draft: draft({ action: name, ...place(embed(secret.text, before, after)) }),
  }));
const named = fc.tuple(secretName, word, action).map(([name, raw, what]) => ({
  raw: [raw],
  draft: draft({ action: what, metadata: { list: [{ [name]: raw } as Record<string, Json>] } }),
}));

/** Everything below the spool, and everything that was said. */
function everything(): string {
  const names = readdirSync(join(dir, 'spool'), { recursive: true, encoding: 'utf8' });
  const files = names
    .map((name) => join(dir, 'spool', name))
    .filter((path) => statSync(path).isFile())
    .map((path) => readFileSync(path, 'utf8'));
  return [...files, ...said].join('\n');
}

test('no planted secret is in spool files, audit_failure files, alerts or errors', async () => {
  let planted = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ arbitrary: embedded, weight: 5 }, named), {
        minLength: EVENTS_PER_RUN,
        maxLength: EVENTS_PER_RUN,
      }),
      async (plantings) => {
        planted += plantings.length;
        const outcomes = await Promise.allSettled(plantings.map((one) => audit.record(one.draft)));
        for (const outcome of outcomes) {
          if (outcome.status === 'fulfilled') continue;
          expect(outcome.reason).toBeInstanceOf(AuditError);
          said.push(String(outcome.reason), JSON.stringify(outcome.reason));
        }
        await audit.flush();
        const text = everything();
        const leaks = plantings.filter(({ raw }) =>
          raw.some((one) => text.includes(one) || text.includes(JSON.stringify(one).slice(1, -1))),
        );
        expect(leaks).toEqual([]);
        expect(findForbidden(text)).toEqual([]);
      },
    ),
    { numRuns: RUNS },
  );
  // Both ways were looked at: spooled, and refused.
  expect(audit.stats().spool?.spooled).toBeGreaterThan(planted / 10);
  expect(audit.stats().failures).toBeGreaterThan(planted / 10);
  expect(everything()).toContain('"kind":"audit_failure"');
});
