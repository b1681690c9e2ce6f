/** Task 17: a person is forgotten, and the trail stays whole. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { SealedRecord } from '../../schemas/record.ts';
import type { Audit, EventDraft } from '../../sdk/index.ts';
import { subject } from '../../sdk/subjects.ts';
import { runCli, type Ran } from '../support/agent-process.ts';
import { openVault, type TestVault } from '../support/vault.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { draft, openTrail, type Trail } from './trail.ts';

const ALICE = 'alice.cooper@example.org';
const BOB = 'bob.dylan@example.org';
const REASON = 'DSR-118';

let trail: Trail;
let vault: TestVault;
let audit: Audit;
let records: readonly SealedRecord[];
let chainBefore = '';

const run = (
  role: 'resolver' | 'eraser' | 'owner',
  args: readonly string[],
  input = '',
): Promise<Ran> =>
  runCli([...args, '--keys', vault.keyFile], {
    input,
    env: { SEALTRAIL_VAULT_URL: vault.url(role), SEALTRAIL_DATA_DIR: trail.agent.dir },
  });
const resolve = (token: string): Promise<Ran> =>
  run('resolver', ['subject', 'resolve', token, '--reason', 'case 7', '--by', 'dpo']);
const erase = (...who: string[]): Promise<Ran> =>
  run('eraser', ['erase', ...who, '--tenant', 'acme', '--reason', REASON, '--by', 'dpo'], ALICE);
const verifyLedger = (): Promise<Ran> => runCli(['verify', trail.agent.dir]);
const verifyStore = async (): Promise<Ran> =>
  runCli(['verify', '--store', await trail.agent.databaseUrl('auditor')]);

/** Alice acts on Bob, Bob on Alice, and support on Alice's behalf. */
const drafts = (): readonly EventDraft[] => {
  const [alice, bob] = [subject(ALICE), subject(BOB)];
  return [
    draft({ actor: { type: 'user', id: alice }, resource: { type: 'customer', id: bob } }),
    draft({ actor: { type: 'user', id: bob }, resource: { type: 'customer', id: alice } }),
    draft({
      actor: {
        ...{ type: 'admin', id: 'u-admin', name: 'Support' },
        on_behalf_of: { type: 'user', id: alice },
      },
      metadata: { approved_by: bob },
    }),
  ];
};
const actorOf = (record: SealedRecord | undefined): string => record?.event.actor.id ?? '';
const resourceOf = (record: SealedRecord | undefined): string => record?.event.resource.id ?? '';

describeTask(17, (criterion) => {
  beforeAll(async () => {
    trail = await openTrail();
    await trail.agent.delivered();
    vault = await openVault(await trail.agent.databaseUrl('admin'));
    audit = await trail.openAudit({ subjects: await vault.openSubjects({ cacheMs: 0 }) });
    for (const one of drafts()) await audit.record(one);
    records = await trail.ledger();
    chainBefore = records.map(({ this_hash }) => this_hash).join();
  });
  afterAll(async () => {
    await vault[Symbol.asyncDispose]();
    await trail[Symbol.asyncDispose]();
  });

  criterion('records hold subject tokens only', async (say) => {
    const store = await trail.connect('admin');
    const { rows } = await store.query<{ event_bytes: string }>(
      'SELECT event_bytes FROM audit.records',
    );
    const outputs = [
      await trail.ledgerText(),
      JSON.stringify(await trail.siem('ecs')) + JSON.stringify(await trail.siem('ocsf')),
      rows.map(({ event_bytes }) => event_bytes).join(),
      readFileSync(join(trail.agent.dir, 'postgres/server.log'), 'utf8'),
      trail.agent.output(),
      await vault.dump(),
    ];
    for (const output of outputs) expect(output).not.toMatch(/alice|cooper|bob\.|dylan/i);
    for (const output of outputs.slice(0, 3)) expect(output).toContain(actorOf(records[0]));
    expect(records.map(actorOf)).toEqual([
      expect.stringMatching(/^sub_[a-z2-7]{26}$/),
      expect.stringMatching(/^sub_[a-z2-7]{26}$/),
      'u-admin',
    ]);
    say('ledger, store, ECS, OCSF, both logs and the vault itself hold no name');
  });

  criterion('before erasure the vault resolves a token to a person', async () => {
    expect(await resolve(actorOf(records[0]))).toMatchObject({ code: 0, stdout: `${ALICE}\n` });
    expect(await resolve(resourceOf(records[0]))).toMatchObject({ code: 0, stdout: `${BOB}\n` });
    // Whoever asked is on record.
    const asked = (await trail.ledgerText()).match(/"action":"subject\.resolve"/g);
    expect(asked).toHaveLength(2);
  });

  criterion('actor as data subject and actor upon a subject are both tokenized', async () => {
    const [asActor, asSubject] = [actorOf(records[0]), resourceOf(records[1])];
    expect(asActor).not.toBe(asSubject);
    expect((await resolve(asSubject)).stdout).toBe(`${ALICE}\n`);
    expect(records[2]?.event.actor.on_behalf_of?.id).toBe(asSubject);
    expect(records[2]?.event.metadata['approved_by']).toBe(resourceOf(records[0]));
    // The digests they are found by come from keys of their own, and so do their data keys.
    const { rows } = await vault.admin.query<{ lookup: Buffer; wrapped_key: Buffer }>(
      'SELECT l.lookup, s.wrapped_key FROM vault.lookups l JOIN vault.subjects s USING (token) WHERE token = ANY ($1)',
      [[asActor, asSubject]],
    );
    expect(rows).toHaveLength(2);
    expect(rows[0]?.lookup.equals(rows[1]?.lookup ?? Buffer.alloc(0))).toBe(false);
    // One may go and the other stay: Bob is forgotten as a customer, and not as who acted.
    const [bobActs, bobIsActedOn] = [actorOf(records[1]), resourceOf(records[0])];
    expect((await erase('--subject', bobIsActedOn)).code).toBe(0);
    expect((await resolve(bobIsActedOn)).code).toBe(1);
    expect((await resolve(bobActs)).stdout).toBe(`${BOB}\n`);
  });

  criterion('after erasure it does not, and the records remain', async (say) => {
    const tokens = [actorOf(records[0]), resourceOf(records[1])];
    const erased = await erase('--identity');
    expect([erased.code, erased.stderr]).toEqual([0, '']);
    for (const token of tokens) {
      expect(erased.stdout).toContain(`${token} erased`);
      expect(await resolve(token)).toMatchObject({ code: 1, stdout: '' });
    }
    const { rows } = await vault.admin.query(
      `SELECT token FROM vault.subjects WHERE token = ANY ($1)
       UNION ALL SELECT token FROM vault.lookups WHERE token = ANY ($1)`,
      [tokens],
    );
    expect(rows).toEqual([]);
    // What was done is on record; by whom, why, and not to whom.
    const trailText = await trail.ledgerText();
    const events = trailText
      .split('\n')
      .filter((line) => line.includes('"action":"subject.erase"'))
      .map((line) => (JSON.parse(line) as SealedRecord).event)
      .filter(({ resource }) => tokens.includes(resource.id));
    expect(events).toHaveLength(2);
    for (const event of events)
      expect(event).toMatchObject({
        actor: { type: 'admin', id: 'dpo' },
        metadata: { reason: REASON, key_version: 'v1' },
      });
    expect(trailText).not.toMatch(/alice|cooper/i);
    expect((await run('owner', ['vault', 'status'])).code).toBe(0);

    // The records are what they were, hash by hash, and still say what token did what, and when.
    const after = await trail.ledger();
    expect(
      after
        .slice(0, 3)
        .map(({ this_hash }) => this_hash)
        .join(),
    ).toBe(chainBefore);
    const store = await trail.connect();
    const found = await store.query('SELECT FROM audit.events WHERE actor_id = $1', [tokens[0]]);
    expect(found.rows).toHaveLength(1);

    // Should the person come back, that is somebody else.
    for (const one of drafts()) await audit.record(one);
    const back = (await trail.ledger()).at(-3);
    expect(tokens).not.toContain(actorOf(back));
    expect((await resolve(actorOf(back))).stdout).toBe(`${ALICE}\n`);
    // Again is no error: there is the new one to go.
    expect((await erase('--identity')).stdout).toContain(`${actorOf(back)} erased`);
    expect((await erase('--subject', tokens[0] ?? '')).stdout).toContain('was erased before');
    say('a token stands for nobody; a person who comes back gets another one');
  });

  criterion('the chain still verifies after erasure', async () => {
    await trail.agent.delivered();
    for (const verified of [await verifyLedger(), await verifyStore()])
      expect([verified.code, verified.stdout + verified.stderr]).toEqual([
        0,
        expect.stringMatching(/intact|verified/),
      ]);
    // Had the record been erased instead, it would not.
    const name = join(trail.agent.dir, 'ledger', `${'0'.repeat(20)}.ndjson`);
    const text = readFileSync(name, 'utf8');
    writeFileSync(name, text.replace(actorOf(records[0]), 'sub_aaaaaaaaaaaaaaaaaaaaaaaaaa'));
    expect((await verifyLedger()).code).toBe(1);
    writeFileSync(name, text);
    expect((await verifyLedger()).code).toBe(0);
  });

  criterion('correlation ids are opaque', async () => {
    const correlation = {
      request_id: `req-${ALICE}`,
      workflow_id: 'Alice Cooper 1',
    };
    await audit.record(draft({ correlation, actor: { type: 'user', id: 'u-1', name: 'n' } }));
    await audit.record(draft({ correlation: { request_id: 'phone +49 151 23456789' } }));
    await audit.record(draft({ correlation: { request_id: 'ssn-078-05-1120' } }));
    const ids = (await trail.ledger()).slice(-3).map(({ event }) => event.correlation);
    expect(ids).toMatchObject([
      { request_id: '[redacted:personal]', workflow_id: '[redacted:personal] 1' },
      { request_id: '[redacted:personal]' },
      { request_id: 'ssn-[redacted:personal]' },
    ]);
    // No keyed token either: one key serves many people, and stays when one of them is forgotten.
    expect(JSON.stringify(ids)).not.toMatch(/tok_/);
    expectDefence('docs/ERASURE.md', 'Correlation ids', {
      says: [/opaque/, /request id/i, /workflow/i],
      names: ['redaction/personal.ts', 'sdk/http-context.ts'],
    });
  });

  criterion('it is said why erasing the record would be wrong', () => {
    expectDefence('docs/ERASURE.md', 'Why the record is not erased', {
      says: [/chain/, /Art\. 17\(3\)/, /who had it removed|cover/, /token/],
      names: ['ledger/verify.ts'],
    });
  });
});
