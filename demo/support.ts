/**
 * Support at work: tickets are assigned, customers' records are looked at under them, tickets are closed. An agent of
 * support is covered by a ticket of theirs for that customer, while it is assigned to them.
 */
import type { Principal } from '../schemas/event.ts';
import { admin, HOUR_MS, user, type Happening, type Step } from './happening.ts';
import { tell, type Part, type Scene } from './scene.ts';

export const TENANT = 'acme';
export const LEAD: Principal = user('u_lead_dana');

export interface Ticket {
  readonly id: string;
  readonly customer: string;
  readonly agent: Principal;
  readonly fromMs: number;
  readonly untilMs: number;
}

export const READ_STEPS: readonly Step[] = [
  { name: 'db.query', ms: 24 },
  { name: 'render', ms: 9 },
];

/** Who the customer is when somebody acts as them. */
export const customerUser = (customer: string): Principal => user(`u_of_${customer}`);

/** A ticket of the month's working day `day`, open for half an hour to some hours. */
export function openTicket(
  { random, officeTime }: Scene,
  number: number,
  agent: Principal,
  customer: string,
  day: number,
): Ticket {
  const fromMs = officeTime(day);
  const untilMs = fromMs + random.int(HOUR_MS / 2, 6 * HOUR_MS);
  return { id: `T-${number}`, customer, agent, fromMs, untilMs };
}

/** Assignment and close; where the ticket is not closed it stays open. */
export function ticketActs(ticket: Ticket): readonly Happening[] {
  const { id, customer, agent, fromMs, untilMs } = ticket;
  const common = { tenant: TENANT, resource: { type: 'ticket', id }, service: 'desk' };
  return [
    tell({
      ...common,
      atMs: fromMs,
      action: 'ticket.assign',
      actor: LEAD,
      metadata: { assignee: agent.id, customer },
    }),
    tell({
      ...common,
      atMs: untilMs,
      action: 'ticket.close',
      actor: agent,
      metadata: { customer },
    }),
  ];
}

export interface Access {
  readonly atMs: number;
  readonly agent: Principal;
  readonly customer: string;
  readonly ticket: string | null;
  /** The ticket is named in words, as reason. */
  readonly isInWords?: boolean;
  readonly asCustomer?: boolean;
  readonly action?: string;
  readonly over?: Partial<Part>;
}

/** An access to a customer's invoices. */
export function accessOf({ random, request }: Scene, access: Access): Happening {
  const { atMs, agent, customer, ticket, action = 'invoice.read' } = access;
  const named =
    ticket === null
      ? {}
      : access.isInWords === true
        ? { reason: `${ticket}: customer cannot open the invoice` }
        : { ticket };
  return tell({
    atMs,
    tenant: TENANT,
    action,
    actor: agent,
    onBehalfOf: access.asCustomer === true ? customerUser(customer) : null,
    resource: { type: 'invoice', id: `inv-${random.int(10_000, 99_999)}` },
    metadata: { customer, ...named },
    service: 'billing',
    request: request(true, READ_STEPS),
    ...access.over,
  });
}

/** Work under a ticket: two to five accesses while it is open, some of them as the customer. */
export function workUnder(scene: Scene, ticket: Ticket): readonly Happening[] {
  const { random } = scene;
  const count = random.int(2, 6);
  return Array.from({ length: count }, (_, n) => {
    const span = ticket.untilMs - ticket.fromMs;
    // After the assignment and before the close, each at a time of its own.
    const atMs = ticket.fromMs + Math.floor((span * (n + 1)) / (count + 1)) + random.int(0, 900);
    return accessOf(scene, {
      atMs,
      agent: ticket.agent,
      customer: ticket.customer,
      ticket: ticket.id,
      isInWords: random.chance(0.3),
      asCustomer: random.chance(0.25),
      action: random.chance(0.15) ? 'payment.refund' : 'invoice.read',
    });
  });
}

export const COLLEAGUES: readonly Principal[] = [admin('u_admin_bob'), admin('u_admin_carol')];
