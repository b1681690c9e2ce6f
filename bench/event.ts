/** The event that all benchmarks record: 760 bytes or so as sealed JSON, of an ordinary shape. */
import type { PlainDraft } from '../sdk/event-draft.ts';

/** Draft number `n`; varies where real events vary. */
export function benchDraft(n: number): PlainDraft {
  return {
    action: 'customer.read',
    outcome: 'success',
    actor: { type: 'user', id: `u_${n % 500}`, name: 'Alice Example', session_id: `s-${n % 977}` },
    resource: {
      type: 'customer',
      id: `c_${n % 10_000}`,
      tenant_id: n % 2 === 0 ? 'acme' : 'globex',
    },
    source: { ip: '10.20.30.40', user_agent: 'Mozilla/5.0 (X11; Linux x86_64) bench' },
    correlation: { request_id: `req-${n}`, trace_id: '0af7651916cd43dd8448eb211c80319c' },
    metadata: { ticket: `T-${n % 4000}`, row_count: n % 97, reason: 'customer called support' },
  };
}
