/** What is nothing special: logins, reads, changes and payments of a month in three tenants, and support's own work. */
import { admin, user, type Happening } from './happening.ts';
import { tell, type Part, type Scene } from './scene.ts';
import { COLLEAGUES, openTicket, READ_STEPS, ticketActs, workUnder } from './support.ts';

interface Habit {
  readonly action: string;
  readonly type: string;
  readonly service: string;
  /** How often, beside the others of the list. */
  readonly weight: number;
}

const HABITS: readonly Habit[] = [
  { action: 'user.login', type: 'user', service: 'auth', weight: 4 },
  { action: 'customer.read', type: 'customer', service: 'crm', weight: 6 },
  { action: 'customer.search', type: 'customer', service: 'crm', weight: 3 },
  { action: 'customer.update', type: 'customer', service: 'crm', weight: 2 },
  { action: 'payment.charge', type: 'payment', service: 'billing', weight: 4 },
  { action: 'invoice.read', type: 'invoice', service: 'billing', weight: 2 },
  { action: 'file.upload', type: 'file', service: 'files', weight: 1 },
  { action: 'settings.update', type: 'settings', service: 'admin', weight: 1 },
];
const CLINIC: readonly Habit[] = [
  { action: 'user.login', type: 'user', service: 'auth', weight: 2 },
  { action: 'patient.record_read', type: 'patient', service: 'ehr', weight: 6 },
  { action: 'patient.record_update', type: 'patient', service: 'ehr', weight: 2 },
  { action: 'prescription.create', type: 'prescription', service: 'ehr', weight: 2 },
];

const TENANTS: readonly {
  readonly tenant: string;
  readonly habits: readonly Habit[];
  readonly perDay: number;
}[] = [
  { tenant: 'acme', habits: HABITS, perDay: 80 },
  { tenant: 'globex', habits: HABITS, perDay: 45 },
  { tenant: 'initech', habits: CLINIC, perDay: 30 },
];
const USERS = 14;

/** Tells it, tenant by tenant and day by day. */
export function tellEveryday(scene: Scene): readonly Happening[] {
  const told: Happening[] = [];
  for (const { tenant, habits, perDay } of TENANTS) {
    const bag = habits.flatMap((habit) => Array.from({ length: habit.weight }, () => habit));
    for (let day = 0; day < scene.workingDays; day += 1)
      for (let n = scene.random.int(perDay - 8, perDay + 8); n > 0; n -= 1)
        told.push(tell(everydayAct(scene, tenant, scene.random.pick(bag), day)));
  }
  return told;
}

function everydayAct(scene: Scene, tenant: string, habit: Habit, day: number): Part {
  const { random } = scene;
  const who = `u_${tenant}_${random.int(1, USERS + 1)}`;
  const actor = habit.action === 'settings.update' ? admin(`u_ops_${tenant}`) : user(who);
  const isLogin = habit.action === 'user.login';
  const isCare = habit.type === 'patient' || habit.type === 'prescription';
  return {
    atMs: scene.officeTime(day),
    tenant,
    action: habit.action,
    outcome: isLogin && random.chance(0.06) ? 'denied' : 'success',
    actor,
    resource: { type: habit.type, id: isLogin ? who : `${habit.type[0]}-${random.int(1, 400)}` },
    metadata: {
      ...(isCare && random.chance(0.92) && { ticket: `CASE-${random.int(1, 900)}` }),
      ...(habit.type === 'invoice' && { ticket: `F-${random.int(1, 900)}` }),
    },
    service: habit.service,
    ip: `10.20.${random.int(0, 4)}.${random.int(2, 250)}`,
    request: scene.request(random.chance(0.05), READ_STEPS),
  };
}

/** The same work as Alice's, by her colleagues: she is not the only one with tickets. */
export function tellColleagues(scene: Scene, firstTicket: number): readonly Happening[] {
  return Array.from({ length: 20 }, (_, n) => {
    const agent = scene.random.pick(COLLEAGUES);
    const customer = `c-${scene.random.int(100, 160)}`;
    const ticket = openTicket(scene, firstTicket + n, agent, customer, n);
    return [...ticketActs(ticket), ...workUnder(scene, ticket)];
  }).flat();
}
