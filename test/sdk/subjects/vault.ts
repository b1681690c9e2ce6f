/** The vault behind subject(): away, asked once, and closed to who should not see in (subjects.test.ts starts it). */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AuditFailure, EventDraft } from '../../../sdk/index.ts';
import { createOutbox, outboxSchema } from '../../../sdk/outbox.ts';
import { createSubjects, subject } from '../../../sdk/subjects.ts';
import { startAgentPeer } from '../../support/agent-peer.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestAudit, draft } from '../../support/sdk-fixture.ts';
import { byAlice, type SubjectsBench } from '../../support/subjects.ts';

/** What a query meets while the vault is away. */
const away = (): Promise<never> => Promise.reject(new Error('connect ECONNREFUSED'));

/** `bench`: once it is there. */
export function testVault(bench: () => SubjectsBench): void {
  describe('while the vault is away', () => {
    const keys = async (): Promise<string> => bench().vault.applicationKeys();

    test('a fail-closed action is refused, before anything is sent', async () => {
      const told: AuditFailure[] = [];
      const subjects = createSubjects({ client: away, keys: await keys() });
      const audit = await bench().open({
        subjects,
        onAuditFailure: (failure) => told.push(failure),
      });
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
      expect(bench().peer().arrivals).toEqual([]);
      // What says nothing of a person needs no bench().vault.
      await audit.record(draft());
      expect(bench().peer().appended).toHaveLength(1);
    });

    test('a fail-open action is recorded without saying who, and that is told', async () => {
      const told: AuditFailure[] = [];
      const subjects = createSubjects({ client: away, keys: await keys() });
      const audit = await bench().open({
        subjects,
        onAuditFailure: (failure) => told.push(failure),
      });
      await audit.record(byAlice({ action: 'user.login' }));
      expect(bench().last().actor).toMatchObject({
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
      const real = await bench().vault.connect('writer');
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
      isAway = false;
      // In so short a time a busy machine may not answer at once.
      const tokens = await eventually(() => {
        nowMs += 1000;
        return subjects.tokensOf([alice]);
      });
      expect(tokens).toHaveLength(1);
    });
  });

  test('the cache is bounded, and forgets after its time', async () => {
    let [nowMs, asked] = [0, 0];
    const real = await bench().vault.connect('writer');
    const subjects = createSubjects({
      keys: await bench().vault.applicationKeys(),
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

  test('keys that open envelopes are refused in an application', async () => {
    const keys = await readFile(bench().vault.keyFile, 'utf8');
    expect(() => createSubjects({ client: away, keys })).toThrow(/administrator/);
    expect(() => createSubjects({ client: away, keys: 'nonsense' })).toThrow(/no vault key/);
    expect(() => createSubjects({ client: away, keys: '' })).toThrow(
      /SEALTRAIL_VAULT|no vault key/,
    );
  });

  test('no planted identity is in what is sent, spooled, kept in outbox or vault, told or thrown', async () => {
    const spoolDir = await mkdtemp(join(tmpdir(), 'sealtrail-spool-'));
    const told: unknown[] = [];
    const hook = {
      onAuditFailure: (failure: AuditFailure) => told.push(inspect(failure, { depth: 9 })),
    };
    const gone = await startAgentPeer();
    await gone.close();
    const audit = await bench().open(hook);
    const spooling = createTestAudit(gone.socketPath, {
      ...hook,
      subjects: await bench().vault.openSubjects(),
      spool: { dir: spoolDir, afterMs: 1 },
      timeoutMs: 50,
    } as Parameters<typeof createTestAudit>[1]);
    const blind = await bench().open({
      ...hook,
      subjects: createSubjects({ client: away, keys: await bench().vault.applicationKeys() }),
    });
    const outbox = createOutbox(audit);
    await bench().vault.admin.query(outboxSchema());
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
          outbox.recordInTransaction(bench().vault.admin, one),
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
    const { rows } = await bench().vault.admin.query('SELECT * FROM audit_outbox');
    const everything = [
      ...bench()
        .peer()
        .arrivals.map(({ text }) => text),
      ...spooled,
      ...told,
      JSON.stringify(rows),
      await bench().vault.dump(),
    ].join('\n');
    await rm(spoolDir, { recursive: true, force: true });
    expect(spooled.join('')).toContain('sub_');
    expect(planted.length).toBeGreaterThanOrEqual(40);
    expect(planted.filter((core) => everything.includes(core))).toEqual([]);
  });
}
