/** Events for an agent process of a test, by an SDK of their own. */
import { createAudit, type EventDraft } from '../../sdk/index.ts';
import { VOCABULARY, type AgentProcess } from './agent-process.ts';

/** Records events at once; resolves with their ids when all are acked. */
export async function recordEvents(
  agent: Pick<AgentProcess, 'socketPath' | 'redactionKey'>,
  tenant: string,
  drafts: readonly EventDraft[],
): Promise<readonly string[]> {
  const audit = createAudit({
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    timeoutMs: 30_000,
    tenant,
  });
  const receipts = await Promise.all(drafts.map((draft) => audit.record(draft)));
  await audit.close();
  return receipts.map(({ event_id }) => event_id);
}

/** A read of a customer, as most tests want one. */
export const customerRead = (id = 'c-1', actor = 'u-1'): EventDraft => ({
  action: 'customer.read',
  outcome: 'success',
  actor: { type: 'user', id: actor, name: 'Ada' },
  resource: { type: 'customer', id },
});

/** Records one event of tenant acme; resolves with its id when it is acked. */
export async function recordOneEvent(
  agent: Pick<AgentProcess, 'socketPath' | 'redactionKey'>,
  draft: EventDraft = customerRead(),
): Promise<string> {
  const [id = ''] = await recordEvents(agent, 'acme', [draft]);
  return id;
}
