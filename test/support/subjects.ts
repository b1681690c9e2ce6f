/** What subject() is tested with: a real vault, and for each test a peer that speaks the agent's protocol. */
import type { AuditEvent } from '../../schemas/event.ts';
import type { Audit, AuditOptions, EventDraft } from '../../sdk/index.ts';
import { subject } from '../../sdk/subjects.ts';
import { startAgentPeer, type AgentPeer } from './agent-peer.ts';
import { startPostgres } from './postgres.ts';
import { createTestAudit, draft } from './sdk-fixture.ts';
import { openVault, type TestVault } from './vault.ts';

export interface SubjectsBench extends AsyncDisposable {
  readonly vault: TestVault;
  /** Before and after each test: a peer of its own, and no audit left open. */
  begin(): Promise<void>;
  end(): Promise<void>;
  peer(): AgentPeer;
  /** An audit of acme with the vault behind it, if not told otherwise. */
  open(options?: Partial<AuditOptions>): Promise<Audit>;
  /** Without what `open` gives it. */
  openBare(): Audit;
  events(): readonly AuditEvent[];
  last(): AuditEvent;
}

export async function openSubjectsBench(): Promise<SubjectsBench> {
  const server = await startPostgres();
  const vault = await openVault(server.url('admin'));
  let started: AgentPeer | null = null;
  let audits: Audit[] = [];
  const peer = (): AgentPeer => {
    if (started === null) throw new Error('begin() starts one');
    return started;
  };
  const keep = (audit: Audit): Audit => {
    audits.push(audit);
    return audit;
  };
  const events = (): readonly AuditEvent[] =>
    peer().appended.map(({ text }) => JSON.parse(text) as AuditEvent);
  return {
    ...{ vault, events, peer },
    begin: async () => void (started = await startAgentPeer()),
    end: async () => {
      await Promise.all(audits.map((audit) => audit.close()));
      audits = [];
      await peer().close();
    },
    open: async (options = {}) => {
      const subjects = options.subjects ?? (await vault.openSubjects());
      return keep(createTestAudit(peer().socketPath, { subjects, tenant: 'acme', ...options }));
    },
    openBare: () => keep(createTestAudit(peer().socketPath)),
    last: () => events().at(-1) as AuditEvent,
    [Symbol.asyncDispose]: async () => {
      await vault[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

/** By somebody who is marked. */
export const byAlice = (fields: Partial<EventDraft> = {}): EventDraft =>
  draft({ actor: { type: 'user', id: subject('alice@example.org') }, ...fields });
