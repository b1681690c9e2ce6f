/** subject(): people in events as tokens. A real vault, and a peer that speaks the agent's protocol. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isSubjectToken } from '../../redaction/subjects/identity.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { runWithContext, type Audit, type AuditFailure, type EventDraft } from '../../sdk/index.ts';
import { createOutbox, outboxSchema } from '../../sdk/outbox.ts';
import { createSubjects, subject } from '../../sdk/subjects.ts';
import { startAgentPeer, type AgentPeer } from '../support/agent-peer.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';
import { openVault, type TestVault } from '../support/vault.ts';

let server: TestPostgres;
let vault: TestVault;
let peer: AgentPeer;
let audits: Audit<unknown>[] = [];

beforeAll(async () => {
  server = await startPostgres();
  vault = await openVault(server.url('admin'));
});
afterAll(async () => {
  await vault[Symbol.asyncDispose]();
  await server.stop();
});
beforeEach(async () => {
  peer = await startAgentPeer();
});
afterEach(async () => {
  await Promise.all(audits.splice(0).map((audit) => audit.close()));
  await peer.close();
});

async function open(options: Parameters<typeof createTestAudit>[1] = {}): Promise<Audit> {
  const subjects = options.subjects ?? (await vault.openSubjects());
  const audit = createTestAudit(peer.socketPath, { subjects, tenant: 'acme', ...options });
  audits.push(audit);
  return audit;
}

const events = (): AuditEvent[] => peer.appended.map(({ text }) => JSON.parse(text) as AuditEvent);
const last = (): AuditEvent => events().at(-1) as AuditEvent;
const byAlice = (fields: Partial<EventDraft> = {}): EventDraft =>
  draft({ actor: { type: 'user', id: subject('alice@example.org') }, ...fields });

/** What a query meets while the vault is away. */
const away = (): Promise<never> => Promise.reject(new Error('connect ECONNREFUSED'));

describe('a marked person', () => {
  test('is a token in the event, the same one each time, and in no clear text anywhere', async () => {
    const audit = await open();
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
    const { actor, resource, metadata } = last();
    expect(isSubjectToken(actor.id)).toBe(true);
    expect(actor.name).toBe(actor.id);
    const behalf = actor.on_behalf_of;
    expect(isSubjectToken(resource.id)).toBe(true);
    expect([behalf?.id, behalf?.name]).toEqual([resource.id, resource.id]);
    expect(metadata).toEqual({ approved_by: [{ who: resource.id }], n: 1 });
    expect(isSubjectToken(resource.name ?? '')).toBe(true);
    expect(new Set([actor.id, resource.id, resource.name]).size).toBe(3);

    await audit.record(byAlice());
    expect(last().actor.id).toBe(actor.id);
    // Another process, with nothing in its cache.
    await (await open()).record(byAlice());
    expect(last().actor.id).toBe(actor.id);
    const seen = peer.arrivals.map(({ text }) => text).join() + (await vault.dump());
    // No name so short that a token may spell it by chance.
    expect(seen).not.toMatch(/alice|robert|miller/i);
  });

  test('has another token as actor than as subject, and another in each tenant', async () => {
    const audit = await open();
    const alice = subject('alice@example.org');
    await audit.record(byAlice({ resource: { type: 'user', id: alice } }));
    await audit.record(byAlice({ resource: { type: 'user', id: alice, tenant_id: 'globex' } }));
    const tokens = events().flatMap(({ actor, resource }) => [actor.id, resource.id]);
    expect(tokens.every(isSubjectToken)).toBe(true);
    expect(new Set(tokens).size).toBe(4);
  });

  test('is taken from the context as well, and is as it was when record() was called', async () => {
    const audit = await open();
    const metadata = { who: subject('dora@example.org'), list: ['first'] };
    const recorded = runWithContext(
      { actor: { type: 'user', id: subject('alice@example.org') }, request_id: 'r-1' },
      () => audit.record({ ...draft(), actor: undefined as never, metadata }),
    );
    metadata.list[0] = 'changed';
    metadata.who = subject('eve@example.org');
    const calledMs = Date.now();
    await recorded;
    expect(isSubjectToken(last().actor.id)).toBe(true);
    expect(last().metadata['list']).toEqual(['first']);
    expect(last().correlation.request_id).toBe('r-1');
    expect(Date.parse(last().event.time)).toBeLessThanOrEqual(calledMs);
  });

  test('that close() finds on the way to the vault is recorded', async () => {
    const audit = await open();
    const recorded = audit.record(
      byAlice({ resource: { type: 'user', id: subject('new@x.org') } }),
    );
    await Promise.all([audit.close(), recorded]);
    expect(isSubjectToken(last().resource.id)).toBe(true);
  });

  test('is shown by no serializer and no inspection of the draft', () => {
    const marked = byAlice({ metadata: { who: subject('robert@example.org') } });
    const shown = JSON.stringify(marked) + inspect(marked, { depth: 9, showHidden: true });
    expect(`${shown}${String(marked.metadata?.['who'])}`).not.toMatch(/alice|robert/);
  });

  test('goes through audited() and the outbox', async () => {
    const audit = await open();
    const { outcome: _, ...begun } = byAlice();
    expect(await audit.audited(begun, () => 7)).toBe(7);
    const { actor } = last();
    expect(isSubjectToken(actor.id)).toBe(true);
    await vault.admin.query(outboxSchema());
    const outbox = createOutbox(audit);
    await outbox.recordInTransaction(vault.admin, byAlice());
    const { rows } = await vault.admin.query<{ line: string }>('SELECT line FROM audit_outbox');
    expect(rows.map(({ line }) => (JSON.parse(line) as AuditEvent).actor.id)).toEqual([actor.id]);
  });
});

test('two applications that meet the same new people at once give them the same tokens', async () => {
  const [one, two] = [await vault.openSubjects(), await vault.openSubjects()];
  const people = Array.from({ length: 60 }, (_, n) => ({
    tenant: 'acme',
    purpose: 'actor' as const,
    identity: `racer-${n}@example.org`,
  }));
  const [first, second] = await Promise.all([one.tokensOf(people), two.tokensOf(people)]);
  expect(first).toEqual(second);
  expect(new Set(first).size).toBe(60);
  const { rows } = await vault.admin.query(
    'SELECT token FROM vault.subjects WHERE token = ANY ($1)',
    [first],
  );
  expect(rows).toHaveLength(60);
});

describe('while the vault is away', () => {
  const keys = async (): Promise<string> => vault.applicationKeys();

  test('a fail-closed action is refused, before anything is sent', async () => {
    const told: AuditFailure[] = [];
    const subjects = createSubjects({ client: away, keys: await keys() });
    const audit = await open({ subjects, onAuditFailure: (failure) => told.push(failure) });
    await expect(audit.record(byAlice())).rejects.toMatchObject({
      code: 'subject_unavailable',
      recorded: 'no',
    });
    expect(told).toMatchObject([{ spooled: false, error: { code: 'subject_unavailable' } }]);
    const { outcome: _, ...begun } = byAlice();
    await expect(audit.audited(begun, () => expect.unreachable())).rejects.toMatchObject({
      code: 'subject_unavailable',
      performed: 'no',
    });
    expect(peer.arrivals).toEqual([]);
    // What says nothing of a person needs no vault.
    await audit.record(draft());
    expect(peer.appended).toHaveLength(1);
  });

  test('a fail-open action is recorded without saying who, and that is told', async () => {
    const told: AuditFailure[] = [];
    const subjects = createSubjects({ client: away, keys: await keys() });
    const audit = await open({ subjects, onAuditFailure: (failure) => told.push(failure) });
    await audit.record(byAlice({ action: 'user.login' }));
    expect(last().actor).toMatchObject({
      id: '[subject:unresolved]',
      name: '[subject:unresolved]',
    });
    expect(told).toMatchObject([
      { action: 'user.login', unresolved: true, error: { code: 'subject_unavailable' } },
    ]);
    expect(audit.stats().failures).toBe(0);
  });

  test('the wait is bounded, the next one fails at once, and later the vault is asked again', async () => {
    let nowMs = 0;
    let asked = 0;
    let isAway = true;
    const real = await vault.connect('writer');
    const subjects = createSubjects({
      keys: await keys(),
      timeoutMs: 50,
      clock: { nowMs: () => nowMs },
      client: (text, values) => {
        asked += 1;
        return isAway ? new Promise<never>(() => undefined) : real.query(text, values);
      },
    });
    const alice = { tenant: 'acme', purpose: 'actor', identity: 'alice@example.org' } as const;
    await expect(subjects.tokensOf([alice])).rejects.toThrow(/no answer within 50 ms/);
    await expect(subjects.tokensOf([alice])).rejects.toThrow(/no answer/);
    expect(asked).toBe(1);
    [isAway, nowMs] = [false, 1000];
    expect(await subjects.tokensOf([alice])).toHaveLength(1);
  });
});

test('the cache is bounded, and forgets after its time', async () => {
  let [nowMs, asked] = [0, 0];
  const real = await vault.connect('writer');
  const subjects = createSubjects({
    keys: await vault.applicationKeys(),
    cacheMax: 2,
    cacheMs: 100,
    clock: { nowMs: () => nowMs },
    client: (text, values) => {
      if (text.includes('tokens_of')) asked += 1;
      return real.query(text, values);
    },
  });
  const person = (identity: string) => ({ tenant: 'acme', purpose: 'actor' as const, identity });
  const [a, b, c] = [person('a'), person('b'), person('c')];
  const tokens = await subjects.tokensOf([a, b, a]);
  // Looked for, added, looked for again: once for all of them.
  expect([asked, tokens[2]]).toEqual([2, tokens[0]]);
  expect(subjects.known(a)).toBe(tokens[0]);
  await subjects.tokensOf([c]);
  // The one that was not used last went.
  expect([subjects.known(b), subjects.known(a)]).toEqual([undefined, tokens[0]]);
  expect(subjects.known({ ...a, tenant: 'globex' })).toBeUndefined();
  nowMs = 100;
  expect(subjects.known(a)).toBeUndefined();
  expect(await subjects.tokensOf([a])).toEqual([tokens[0]]);
});

describe('what is wrong with a marked person', () => {
  test('is refused as such, and nobody is added to the vault for it', async () => {
    const audit = await open();
    const before = await vault.dump();
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
    expect([await vault.dump(), peer.arrivals]).toEqual([before, []]);
  });

  test('a look-alike is somebody else', async () => {
    const audit = await open();
    for (const id of [
      'alice@example.org',
      'аlice@example.org',
      'ALICE@example.org',
      'ａlice@example.org',
    ])
      await audit.record(draft({ actor: { type: 'user', id: subject(id) } }));
    const [alice, cyrillic, upper, wide] = events().map(({ actor }) => actor.id);
    expect(upper).toBe(alice);
    expect(new Set([alice, cyrillic, wide]).size).toBe(3);
  });

  test('a marked id beside a name in clear text is refused', async () => {
    const audit = await open();
    const actor = { type: 'user', id: subject('alice@example.org'), name: 'Alice' } as never;
    const refused = audit.record(draft({ actor }));
    await expect(refused).rejects.toMatchObject({ field: '/actor/name', code: 'schema_invalid' });
  });

  test('without a vault nothing marked is recorded', async () => {
    const audit = createTestAudit(peer.socketPath);
    audits.push(audit);
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
    expect(peer.arrivals).toEqual([]);
  });

  test('an e-mail address that nobody marked is a token as well, where a vault is in use', async () => {
    const audit = await open();
    const id = 'carol@example.org';
    await audit.record(
      draft({
        actor: { type: 'user', id, name: id },
        resource: { type: 'user', id: `mbox/${id}` },
      }),
    );
    expect(peer.arrivals[0]?.text).not.toContain('carol');
    expect(last().actor.id).toMatch(/^tok_/);
  });
});

test('keys that open envelopes are refused in an application', async () => {
  const keys = await readFile(vault.keyFile, 'utf8');
  expect(() => createSubjects({ client: away, keys })).toThrow(/administrator/);
  expect(() => createSubjects({ client: away, keys: 'nonsense' })).toThrow(/no vault key/);
  expect(() => createSubjects({ client: away, keys: '' })).toThrow(/SEALTRAIL_VAULT|no vault key/);
});

test('no planted identity is in what is sent, spooled, kept in outbox or vault, told or thrown', async () => {
  const spoolDir = await mkdtemp(join(tmpdir(), 'sealtrail-spool-'));
  const told: unknown[] = [];
  const hook = {
    onAuditFailure: (failure: AuditFailure) => told.push(inspect(failure, { depth: 9 })),
  };
  const gone = await startAgentPeer();
  await gone.close();
  const audit = await open(hook);
  const spooling = createTestAudit(gone.socketPath, {
    ...hook,
    subjects: await vault.openSubjects(),
    spool: { dir: spoolDir, afterMs: 1 },
    timeoutMs: 50,
  } as Parameters<typeof createTestAudit>[1]);
  const blind = await open({
    ...hook,
    subjects: createSubjects({ client: away, keys: await vault.applicationKeys() }),
  });
  const outbox = createOutbox(audit);
  await vault.admin.query(outboxSchema());
  const planted: string[] = [];
  // Each with a core that is nowhere by chance.
  const identity = fc
    .tuple(
      fc.stringMatching(/^[g-z]{12}$/),
      fc.constantFrom('@example.org', ' Smith', '', '-Ä', '日'),
    )
    .map(([core, rest]) => ({ core, text: core + rest }));
  await fc.assert(
    fc.asyncProperty(identity, fc.nat(3), async ({ core, text }, place) => {
      planted.push(core);
      const who = subject(text);
      const one = [
        byAlice({ actor: { type: 'user', id: who } }),
        byAlice({ resource: { type: 'customer', id: who, name: who } }),
        byAlice({ metadata: { a: { b: [who, { c: who }] } } }),
        byAlice({ actor: { type: 'user', id: 'u', name: who } }),
      ][place] as EventDraft;
      const open = { ...one, action: 'user.login' };
      const all = await Promise.allSettled([
        audit.record(one),
        spooling.record(open),
        blind.record(one),
        blind.record(open),
        outbox.recordInTransaction(vault.admin, one),
        audit.record({ ...one, outcome: 'maybe' as never }),
      ]);
      told.push(inspect(all, { depth: 9 }));
      expect(all.map(({ status }) => status[0]).join('')).toBe('ffrffr');
    }),
    { numRuns: 40 },
  );
  await spooling.close();
  const files = await readdir(spoolDir, { recursive: true, withFileTypes: true });
  const spooled = await Promise.all(
    files
      .filter((one) => one.isFile())
      .map((one) => readFile(join(one.parentPath, one.name), 'utf8')),
  );
  const { rows } = await vault.admin.query('SELECT * FROM audit_outbox');
  const everything = [
    ...peer.arrivals.map(({ text }) => text),
    ...spooled,
    ...told,
    JSON.stringify(rows),
    await vault.dump(),
  ].join('\n');
  await rm(spoolDir, { recursive: true, force: true });
  expect(spooled.join('')).toContain('sub_');
  expect(planted.length).toBeGreaterThanOrEqual(40);
  expect(planted.filter((core) => everything.includes(core))).toEqual([]);
});
