/** What happened last month, the five questions that task 21 asks of it, and `alice`, who is to find out. */
import { expect } from 'vitest';
import { readTime } from '../../auditor/times.ts';
import { runCli } from '../support/agent-process.ts';
import { draft, type Trail } from './trail.ts';

const PASSWORD = 'a password of an auditor';
export const ADMIN = { type: 'admin', id: 'u_admin_alice', name: 'Alice' } as const;
const ADA = { type: 'user', id: 'u-17', name: 'Ada' } as const;
const customer = (id: string) => ({ type: 'user', id, name: id }) as const;
const began = readTime('last-month', 'since', 'UTC', Date.now());
const MONTH_MS = Date.parse(began.ok ? began.value : '');
/** An hour of last month. */
const hour = (n: number): Date => new Date(MONTH_MS + n * 3_600_000);

/** What happened, in its order; and in the answers of which questions it belongs. */
const EVENTS = [
  {
    of: ['actor', 'impersonations'],
    action: 'user.login',
    actor: { ...ADMIN, on_behalf_of: customer('u-88') },
  },
  {
    of: ['actor', 'resource', 'impersonations', 'ticketless'],
    action: 'invoice.read',
    actor: { ...ADMIN, on_behalf_of: customer('u-88') },
    resource: { type: 'invoice', id: 'inv-7' },
  },
  {
    of: ['actor', 'resource'],
    action: 'invoice.read',
    actor: ADMIN,
    resource: { type: 'invoice', id: 'inv-7' },
    metadata: { ticket: 'T-1' },
  },
  {
    of: ['actor', 'impersonations', 'occurrences'],
    action: 'customer.export',
    actor: { ...ADMIN, on_behalf_of: customer('u-89') },
    metadata: { ticket: 'T-2' },
  },
  { of: ['occurrences'], action: 'customer.export', actor: ADA, metadata: { ticket: 'T-3' } },
  {
    of: ['ticketless'],
    action: 'patient.record_read',
    actor: ADA,
    resource: { type: 'patient', id: 'p-1' },
  },
] as const;

export type Name = 'actor' | 'resource' | 'occurrences' | 'impersonations' | 'ticketless';

/** The five questions of the task, as an auditor types them. */
export const FIVE: Readonly<Record<Name, readonly [id: string, ...words: string[]]>> = {
  actor: ['actor-activity', '--actor', ADMIN.id],
  resource: ['resource-history', '--type', 'invoice', '--id', 'inv-7'],
  occurrences: ['action-occurrences', '--action', 'customer.export'],
  impersonations: ['impersonations', '--actor', ADMIN.id],
  ticketless: ['access-without-ticket'],
};
export const NAMES: readonly Name[] = Object.keys(FIVE) as Name[];

/** Has it recorded for acme, and one event for globex; ids of those of acme, in their order. */
export async function recordLastMonth(trail: Trail): Promise<readonly string[]> {
  const recorded: string[] = [];
  for (const [n, { of: _, ...what }] of EVENTS.entries())
    recorded.push((await trail.audit.record(draft({ ...what, time: hour(n) }))).event_id);
  const globex = await trail.openAudit({ tenant: 'globex' });
  await globex.record(draft({ actor: { ...ADMIN, on_behalf_of: customer('u-1') }, time: hour(1) }));
  return recorded;
}

/** Those of `ids`, as recordLastMonth gave them, that belong in the answer to a question. */
export const belongingTo = (name: Name, ids: readonly string[]): readonly string[] =>
  ids.filter((_, index) => (EVENTS[index]?.of as readonly string[] | undefined)?.includes(name));

/** Grants her acme; the store under her login. */
export async function grantAlice(trail: Trail): Promise<string> {
  const granted = await runCli(
    [
      'auditor',
      'grant',
      'alice',
      '--tenant',
      'acme',
      '--data-dir',
      trail.agent.dir,
      '--by',
      'ada',
      '--reason',
      'SOC 2',
    ],
    { env: { SEALTRAIL_AUDITOR_PASSWORD: PASSWORD } },
  );
  expect(granted).toMatchObject({ code: 0 });
  const url = new URL(await trail.agent.databaseUrl('auditor'));
  [url.username, url.password] = ['alice', PASSWORD];
  return url.href;
}
