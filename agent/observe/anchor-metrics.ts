/** Metrics of the anchors, read off the agent's status. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { AnchorsStatus } from '../status-ports.ts';

/** Registers them; the function that comes back copies a status into them. Without anchors they show nothing. */
export function createAnchorMetrics(registry: Registry): (status: AnchorsStatus | null) => void {
  const registers = [registry];
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge =>
    new Gauge({ name, help, labelNames, registers });
  const quorum = gauge(
    'audit_anchor_quorum',
    'Anchors that must have a checkpoint; 0: there are none.',
  );
  const quorumAt = gauge(
    'audit_anchor_quorum_timestamp_seconds',
    'When a quorum of anchors had a new checkpoint last; 0: not since the start.',
  );
  const size = gauge(
    'audit_anchor_leaves',
    'Leaves of the anchor log that an anchor has.',
    'anchor',
  );
  const conflict = gauge(
    'audit_anchor_conflict',
    '1 while an anchor holds this log as another agent goes on with it.',
    'anchor',
  );
  const failures = new Counter({
    name: 'audit_anchor_failures_total',
    help: 'Times that an anchor did not take a checkpoint.',
    labelNames: ['anchor'],
    registers,
  });
  return (status) => {
    quorum.set(status?.quorum ?? 0);
    const at = status?.quorum_at ?? null;
    quorumAt.set(at === null ? 0 : Date.parse(at) / 1000);
    // The stage counts; a restart of it begins anew, as counters may.
    for (const metric of [size, conflict, failures]) metric.reset();
    for (const { name: anchor, ...member } of status?.members ?? []) {
      size.set({ anchor }, member.size);
      conflict.set({ anchor }, member.state === 'conflict' ? 1 : 0);
      failures.inc({ anchor }, member.failures_total);
    }
  };
}
