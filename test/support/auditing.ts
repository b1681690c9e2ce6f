/** Audits beside an agent's peer, and two actions for audited(): one fail-closed, one fail-open. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { createAudit, type Audit, type AuditedDraft, type AuditFailure } from '../../sdk/index.ts';
import { startAgentPeer, type AgentPeer } from './agent-peer.ts';
import { TEST_KEY, TEST_VOCABULARY } from './sdk-fixture.ts';

export const CLOSED: AuditedDraft = {
  action: 'customer.delete',
  actor: { type: 'user', id: 'u-1', name: 'Ada' },
  resource: { type: 'customer', id: 'c-1' },
};
export const OPEN: AuditedDraft = { ...CLOSED, action: 'user.login' };

export interface Auditing {
  readonly dir: string;
  /** An agent that takes everything. */
  readonly peer: AgentPeer;
  /** What the alert hook was told. */
  readonly failures: AuditFailure[];
  /** Closed when the test ends. */
  readonly closing: Pick<Audit, 'close'>[];
  /** An Audit on the peer, or on another socket; closed when the test ends. */
  readonly open: (socketPath?: string, timeoutMs?: number) => Audit<unknown>;
}

/** A new folder and a new peer for each test. */
export function useAuditing(): Auditing {
  let dir = '';
  let peer: AgentPeer;
  const failures: AuditFailure[] = [];
  const closing: Pick<Audit, 'close'>[] = [];

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sealtrail-audited-'));
    failures.length = 0;
    closing.length = 0;
    peer = await startAgentPeer();
  });
  afterEach(async () => {
    await Promise.all(closing.map((audit) => audit.close()));
    await peer.close();
    rmSync(dir, { recursive: true, force: true });
  });

  return {
    get dir() {
      return dir;
    },
    get peer() {
      return peer;
    },
    failures,
    closing,
    open: (socketPath = peer.socketPath, timeoutMs = 30_000) => {
      const audit = createAudit({
        service: 'test',
        vocabulary: TEST_VOCABULARY,
        redactionKey: TEST_KEY,
        socketPath,
        timeoutMs,
        // Where there is an agent nothing is to be spooled, however long its ack takes.
        spool: { dir: join(dir, 'spool'), afterMs: timeoutMs },
        onAuditFailure: (failure) => failures.push(failure),
      });
      closing.push(audit);
      return audit;
    },
  };
}
