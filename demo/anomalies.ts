/** What stands out and is not Alice's: guessed passwords, work in the night, a large export. */
import { admin, DAY_MS, HOUR_MS, user, type Happening } from './happening.ts';
import { tell, type Scene } from './scene.ts';
import { TENANT } from './support.ts';

export interface Anomalies {
  readonly happenings: readonly Happening[];
  readonly bruteForce: {
    readonly actor: string;
    readonly denials: number;
    readonly fromMs: number;
  };
  readonly offHours: readonly Happening[];
  readonly largeExport: Happening;
}

const DENIALS = 38;

/** Tells them. */
export function tellAnomalies(scene: Scene): Anomalies {
  const { random } = scene;
  const target = user(`u_acme_${random.int(1, 14)}`);
  const hour = scene.officeTime(7);
  const fromMs = hour - (hour % HOUR_MS) + 60_000;
  let atMs = fromMs;
  const guesses = Array.from({ length: DENIALS + 1 }, (_, n) => {
    atMs += random.int(30_000, 60_000);
    return tell({
      atMs,
      tenant: TENANT,
      action: 'user.login',
      outcome: n === DENIALS ? 'success' : 'denied',
      actor: target,
      resource: { type: 'user', id: target.id },
      service: 'auth',
      ip: '198.51.100.23',
    });
  });
  const sunday = sundayOf(scene);
  const offHours = [
    ['settings.update', 'settings', 's-retention'],
    ['role.grant', 'role', 'billing_admin'],
  ].map(([action = '', type = '', id = ''], n) =>
    tell({
      atMs: sunday + 3 * HOUR_MS + n * 240_000,
      tenant: TENANT,
      action,
      actor: admin('u_ops_erin'),
      resource: { type, id },
      service: 'admin',
    }),
  );
  const largeExport = tell({
    atMs: scene.officeTime(13),
    tenant: TENANT,
    action: 'customer.export',
    actor: user('u_sales_gus'),
    resource: { type: 'customer', id: 'all' },
    metadata: { row_count: random.int(20_000, 40_000), format: 'csv' },
    request: scene.request(true, [
      { name: 'db.query', ms: 2_900 },
      { name: 'upload', ms: 12_400, service: 'files' },
    ]),
  });
  return {
    happenings: [...guesses, ...offHours, largeExport],
    bruteForce: { actor: target.id, denials: DENIALS, fromMs },
    offHours,
    largeExport,
  };
}

function sundayOf({ month }: Scene): number {
  const first = new Date(month.fromMs).getUTCDay();
  return month.fromMs + ((7 - first) % 7) * DAY_MS + 7 * DAY_MS;
}
