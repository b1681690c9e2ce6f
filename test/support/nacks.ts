/** What an agent refused since a moment, by kind: as `status` says and, the same, as /metrics does. */
import { expect } from 'vitest';
import type { AgentProcess } from './agent-process.ts';

type Counts = Readonly<Record<string, number>>;

/** Begins to count; call what it returns for the counts since then. */
export async function countNacks(agent: AgentProcess): Promise<() => Promise<Counts>> {
  const before = (await agent.status()).nacks_total;
  return async () => {
    const counts = (await agent.status()).nacks_total;
    const metrics = await (await fetch(`${agent.adminUrl}/metrics`)).text();
    for (const [kind, count] of Object.entries(counts))
      expect(metrics).toContain(`audit_receive_nacks_total{kind="${kind}"} ${count}\n`);
    const since = Object.entries(counts).map(([kind, count]): [string, number] => [
      kind,
      count - (before[kind] ?? 0),
    ]);
    return Object.fromEntries(since.filter(([, count]) => count !== 0));
  };
}
