/**
 * What u_admin_alice did: her work under tickets of hers, and what no ticket of hers covers, in each of the ways in
 * which that happens. The last of them is the one that somebody will try to lay upon a colleague.
 */
import type { Principal } from '../schemas/event.ts';
import { admin, DAY_MS, HOUR_MS, type Happening } from './happening.ts';
import { tell, type Scene } from './scene.ts';
import {
  accessOf,
  COLLEAGUES,
  customerUser,
  openTicket,
  TENANT,
  ticketActs,
  workUnder,
  type Ticket,
} from './support.ts';

export const ALICE: Principal = admin('u_admin_alice');
const TICKETS = 12;

export interface AliceStory {
  readonly happenings: readonly Happening[];
  /** Accesses to financial records that no ticket of hers covers, and why. */
  readonly outside: readonly { readonly what: Happening; readonly why: string }[];
  readonly covered: readonly Happening[];
  /** Of those outside, the one to be tampered with. */
  readonly hidden: Happening;
  /** Of those outside, the one with the most evidence: as the customer, at night, with an export. */
  readonly suspect: Happening;
}

/** Tells it; `firstTicket` is the number of her first ticket. */
export function tellAlice(scene: Scene, firstTicket: number): AliceStory {
  const { random } = scene;
  const tickets = Array.from({ length: TICKETS }, (_, n) =>
    openTicket(
      scene,
      firstTicket + n,
      ALICE,
      `c-${random.int(100, 140)}`,
      Math.floor((n * scene.workingDays) / TICKETS),
    ),
  );
  const covered = tickets.flatMap((ticket) => workUnder(scene, ticket));
  const [closed, open] = [tickets[2], tickets[6]];
  const bobs = openTicket(scene, firstTicket + TICKETS, colleague(), 'c-171', 4);
  if (closed === undefined || open === undefined) throw new RangeError('she has twelve tickets');
  const night = nightVisit(scene);
  const outside = [
    ...ticketless(scene),
    {
      why: 'the ticket that it names is assigned to a colleague',
      what: accessOf(scene, {
        ...{ atMs: bobs.fromMs + 61_000, agent: ALICE, customer: bobs.customer, ticket: bobs.id },
      }),
    },
    {
      why: 'her ticket was closed before',
      what: accessOf(scene, {
        ...{ atMs: closed.untilMs + 2 * DAY_MS, agent: ALICE, customer: closed.customer },
        ticket: closed.id,
      }),
    },
    {
      why: 'her ticket is for another customer',
      what: accessOf(scene, {
        ...{ atMs: middleOf(open), agent: ALICE, customer: 'c-175', ticket: open.id },
      }),
    },
    { why: 'no ticket; at night, acting as the customer', what: night.access },
  ];
  const hidden = accessOf(scene, {
    ...{ atMs: scene.officeTime(15), agent: ALICE, customer: 'c-188', ticket: null },
  });
  const denied = accessOf(scene, {
    ...{ atMs: scene.officeTime(9), agent: ALICE, customer: 'c-190', ticket: null },
    over: { outcome: 'denied', metadata: { customer: 'c-190', reason: 'restricted account' } },
  });
  return {
    happenings: [
      ...[...tickets, bobs].flatMap(ticketActs),
      ...covered,
      ...outside.map(({ what }) => what),
      ...night.around,
      hidden,
      denied,
    ],
    outside: [...outside, { what: hidden, why: 'no ticket' }],
    covered,
    hidden,
    suspect: night.access,
  };
}

const middleOf = ({ fromMs, untilMs }: Ticket): number => Math.floor((fromMs + untilMs) / 2) + 777;

function colleague(): Principal {
  const [bob] = COLLEAGUES;
  if (bob === undefined) throw new RangeError('there are colleagues');
  return bob;
}

function ticketless(scene: Scene): AliceStory['outside'] {
  const count = scene.random.int(2, 5);
  return Array.from({ length: count }, (_, n) => ({
    why: 'no ticket',
    what: accessOf(scene, {
      atMs: scene.officeTime(5 + n * 3),
      agent: ALICE,
      customer: `c-${160 + n}`,
      ticket: null,
    }),
  }));
}

/** One request at night: she becomes the customer, reads, and takes all of it away. */
function nightVisit(scene: Scene): {
  readonly access: Happening;
  readonly around: readonly Happening[];
} {
  const { random, request } = scene;
  const day = scene.officeTime(11);
  const atMs = day - (day % DAY_MS) + 22 * HOUR_MS + random.int(0, HOUR_MS);
  const customer = 'c-181';
  const rows = random.int(3_000, 6_000);
  const one = request(true, [
    { name: 'db.query', ms: 410 },
    { name: 'upload', ms: random.int(7_000, 9_000), service: 'files' },
  ]);
  const access = accessOf(scene, {
    ...{ atMs: atMs + 40_000, agent: ALICE, customer, ticket: null, asCustomer: true },
    over: { request: one, ip: '203.0.113.77' },
  });
  const as = { tenant: TENANT, actor: ALICE, ip: '203.0.113.77' };
  return {
    access,
    around: [
      tell({
        ...as,
        atMs,
        action: 'user.impersonate',
        onBehalfOf: customerUser(customer),
        resource: { type: 'user', id: customerUser(customer).id },
        metadata: { customer },
        service: 'auth',
      }),
      tell({
        ...as,
        // Its rows are counted before they are stored.
        atMs: atMs + 40_500,
        action: 'customer.export',
        onBehalfOf: customerUser(customer),
        resource: { type: 'customer', id: customer },
        metadata: { row_count: rows, format: 'csv' },
        service: 'billing',
        request: one,
      }),
    ],
  };
}
