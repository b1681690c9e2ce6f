/** subject(): people in events as tokens. A real vault, and a peer that speaks the agent's protocol. */
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isSubjectToken } from '../../redaction/subjects/identity.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { runWithContext } from '../../sdk/index.ts';
import { createOutbox, outboxSchema } from '../../sdk/outbox.ts';
import { subject } from '../../sdk/subjects.ts';
import { draft } from '../support/sdk-fixture.ts';
import { byAlice, openSubjectsBench, type SubjectsBench } from '../support/subjects.ts';
import { testVault } from './subjects/vault.ts';

let bench: SubjectsBench;
beforeAll(async () => {
  bench = await openSubjectsBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
beforeEach(() => bench.begin());
afterEach(() => bench.end());

describe('a marked person', () => {
  test('is a token in the event, the same one each time, and in no clear text anywhere', async () => {
    const audit = await bench.open();
    const robert = subject('Robert@Example.org');
    await audit.record(
      byAlice({
        actor: {
          type: 'admin',
          id: subject('alice@example.org'),
          on_behalf_of: { type: 'user', id: robert },
        },
        resource: { type: 'customer', id: robert, name: subject('Robert Miller') },
        metadata: { approved_by: [{ who: subject(' ROBERT@example.org ') }], n: 1 },
      }),
    );
    const { actor, resource, metadata } = bench.last();
    expect(isSubjectToken(actor.id)).toBe(true);
    expect(actor.name).toBe(actor.id);
    const behalf = actor.on_behalf_of;
    expect(isSubjectToken(resource.id)).toBe(true);
    expect([behalf?.id, behalf?.name]).toEqual([resource.id, resource.id]);
    expect(metadata).toEqual({ approved_by: [{ who: resource.id }], n: 1 });
    expect(isSubjectToken(resource.name ?? '')).toBe(true);
    expect(new Set([actor.id, resource.id, resource.name]).size).toBe(3);

    await audit.record(byAlice());
    expect(bench.last().actor.id).toBe(actor.id);
    // Another process, with nothing in its cache.
    await (await bench.open()).record(byAlice());
    expect(bench.last().actor.id).toBe(actor.id);
    const seen =
      bench
        .peer()
        .arrivals.map(({ text }) => text)
        .join() + (await bench.vault.dump());
    // No name so short that a token may spell it by chance.
    expect(seen).not.toMatch(/alice|robert|miller/i);
  });

  test('has another token as actor than as subject, and another in each tenant', async () => {
    const audit = await bench.open();
    const alice = subject('alice@example.org');
    await audit.record(byAlice({ resource: { type: 'user', id: alice } }));
    await audit.record(byAlice({ resource: { type: 'user', id: alice, tenant_id: 'globex' } }));
    const tokens = bench.events().flatMap(({ actor, resource }) => [actor.id, resource.id]);
    expect(tokens.every(isSubjectToken)).toBe(true);
    expect(new Set(tokens).size).toBe(4);
  });

  test('is taken from the context as well, and is as it was when record() was called', async () => {
    const audit = await bench.open();
    const metadata = { who: subject('dora@example.org'), list: ['first'] };
    const recorded = runWithContext(
      { actor: { type: 'user', id: subject('alice@example.org') }, request_id: 'r-1' },
      () => audit.record({ ...draft(), actor: undefined as never, metadata }),
    );
    metadata.list[0] = 'changed';
    metadata.who = subject('eve@example.org');
    const calledMs = Date.now();
    await recorded;
    expect(isSubjectToken(bench.last().actor.id)).toBe(true);
    expect(bench.last().metadata['list']).toEqual(['first']);
    expect(bench.last().correlation.request_id).toBe('r-1');
    expect(Date.parse(bench.last().event.time)).toBeLessThanOrEqual(calledMs);
  });

  test('that close() finds on the way to the vault is recorded', async () => {
    const audit = await bench.open();
    const recorded = audit.record(
      byAlice({ resource: { type: 'user', id: subject('new@x.org') } }),
    );
    await Promise.all([audit.close(), recorded]);
    expect(isSubjectToken(bench.last().resource.id)).toBe(true);
  });

  test('is shown by no serializer and no inspection of the draft', () => {
    const marked = byAlice({ metadata: { who: subject('robert@example.org') } });
    const shown = JSON.stringify(marked) + inspect(marked, { depth: 9, showHidden: true });
    expect(`${shown}${String(marked.metadata?.['who'])}`).not.toMatch(/alice|robert/);
  });

  test('goes through audited() and the outbox', async () => {
    const audit = await bench.open();
    const { outcome: _, ...begun } = byAlice();
    expect(await audit.audited(begun, () => 7)).toBe(7);
    const { actor } = bench.last();
    expect(isSubjectToken(actor.id)).toBe(true);
    await bench.vault.admin.query(outboxSchema());
    const outbox = createOutbox(audit);
    await outbox.recordInTransaction(bench.vault.admin, byAlice());
    const { rows } = await bench.vault.admin.query<{ line: string }>(
      'SELECT line FROM audit_outbox',
    );
    expect(rows.map(({ line }) => (JSON.parse(line) as AuditEvent).actor.id)).toEqual([actor.id]);
  });
});

test('two applications that meet the same new people at once give them the same tokens', async () => {
  const [one, two] = [await bench.vault.openSubjects(), await bench.vault.openSubjects()];
  const people = Array.from({ length: 60 }, (_, n) => ({
    tenant: 'acme',
    purpose: 'actor' as const,
    identity: `racer-${n}@example.org`,
  }));
  const [first, second] = await Promise.all([one.tokensOf(people), two.tokensOf(people)]);
  expect(first).toEqual(second);
  expect(new Set(first).size).toBe(60);
  const { rows } = await bench.vault.admin.query(
    'SELECT token FROM vault.subjects WHERE token = ANY ($1)',
    [first],
  );
  expect(rows).toHaveLength(60);
});

describe('what is wrong with a marked person', () => {
  test('is refused as such, and nobody is added to the vault for it', async () => {
    const audit = await bench.open();
    const before = await bench.vault.dump();
    const wrong = ['', ' ', 'x'.repeat(1_000_000), 'mallory\u0000', 'mallory\ud800', 7, null, {}];
    for (const identity of wrong) {
      const refused = await audit
        .record(byAlice({ metadata: { who: subject(identity as string) } }))
        .catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'schema_invalid', field: '/metadata' });
      expect(inspect(refused)).not.toMatch(/mallory|xxx/);
    }
    // A good person in an event that is refused for something else.
    const bad = { id: subject('nobody-yet@example.org'), type: 'user' } as const;
    await expect(audit.record(draft({ actor: bad, time: 'yesterday' }))).rejects.toMatchObject({
      code: 'schema_invalid',
    });
    await expect(audit.record(draft({ actor: bad, action: 'x.y' }))).rejects.toMatchObject({
      code: 'unknown_action',
    });
    await expect(
      audit.record(draft({ actor: bad, resource: { type: 'a', id: 'b', tenant_id: 'no tenant' } })),
    ).rejects.toMatchObject({ code: 'schema_invalid' });
    expect([await bench.vault.dump(), bench.peer().arrivals]).toEqual([before, []]);
  });

  test('a look-alike is somebody else', async () => {
    const audit = await bench.open();
    for (const id of [
      'alice@example.org',
      'аlice@example.org',
      'ALICE@example.org',
      'ａlice@example.org',
    ])
      await audit.record(draft({ actor: { type: 'user', id: subject(id) } }));
    const [alice, cyrillic, upper, wide] = bench.events().map(({ actor }) => actor.id);
    expect(upper).toBe(alice);
    expect(new Set([alice, cyrillic, wide]).size).toBe(3);
  });

  test('a marked id beside a name in clear text is refused', async () => {
    const audit = await bench.open();
    const actor = { type: 'user', id: subject('alice@example.org'), name: 'Alice' } as never;
    const refused = audit.record(draft({ actor }));
    await expect(refused).rejects.toMatchObject({ field: '/actor/name', code: 'schema_invalid' });
  });

  test('without a vault nothing marked is recorded', async () => {
    const audit = bench.openBare();
    const marked = subject('alice@example.org');
    const drafts = [
      byAlice(),
      draft({ resource: { type: 'user', id: marked } }),
      draft({ resource: { type: 'user', id: 'u', name: marked } }),
      draft({ metadata: { a: [{ b: marked }] } }),
      draft({
        actor: { type: 'user', id: 'u', name: 'n', on_behalf_of: { type: 'user', id: marked } },
      }),
    ];
    for (const one of drafts)
      await expect(audit.record(one)).rejects.toMatchObject({ recorded: 'no' });
    expect(bench.peer().arrivals).toEqual([]);
  });

  test('an e-mail address that nobody marked is a token as well, where a vault is in use', async () => {
    const audit = await bench.open();
    const id = 'carol@example.org';
    await audit.record(
      draft({
        actor: { type: 'user', id, name: id },
        resource: { type: 'user', id: `mbox/${id}` },
      }),
    );
    expect(bench.peer().arrivals[0]?.text).not.toContain('carol');
    expect(bench.last().actor.id).toMatch(/^tok_/);
  });
});

testVault(() => bench);
