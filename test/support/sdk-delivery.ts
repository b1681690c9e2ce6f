/** Audits and the peers they talk to, closed when a test ends; and many events at once. */
import { afterEach, expect } from 'vitest';
import { AuditError, type Audit, type RecordReceipt } from '../../sdk/index.ts';
import { startAgentPeer, type AgentPeer, type PeerScript } from './agent-peer.ts';
import { createTestAudit, draft } from './sdk-fixture.ts';

/** Closed when the test ends. */
export const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

export async function start(
  script: PeerScript = {},
  options: Parameters<typeof createTestAudit>[1] = {},
): Promise<{ peer: AgentPeer; audit: Audit }> {
  const peer = await startAgentPeer(script);
  const audit = createTestAudit(peer.socketPath, options);
  open.push(audit, peer);
  return { peer, audit };
}

export function recordMany(
  audit: Audit,
  count: number,
): Promise<PromiseSettledResult<RecordReceipt>[]> {
  return Promise.allSettled(
    Array.from({ length: count }, (_, n) => audit.record(draft({ metadata: { n } }))),
  );
}

export function codesOf(results: readonly PromiseSettledResult<unknown>[]): string[] {
  return results.map((result) =>
    result.status === 'fulfilled'
      ? 'ok'
      : result.reason instanceof AuditError
        ? result.reason.code
        : String(result.reason),
  );
}

/** The promise about numbers, over everything that arrived. */
export function expectNumbersInOrder(peer: AgentPeer): void {
  const eventOf = new Map<number, string>();
  const last = new Map<number, number>();
  for (const { connection, seq, text } of peer.arrivals) {
    expect(eventOf.get(seq) ?? text).toBe(text);
    eventOf.set(seq, text);
    const before = last.get(connection);
    if (before !== undefined) expect(seq).toBe(before + 1);
    last.set(connection, seq);
  }
  expect(new Set(eventOf.values()).size).toBe(eventOf.size);
  expect(peer.appended.map(({ seq }) => seq)).toEqual(peer.appended.map((_, index) => index));
}
