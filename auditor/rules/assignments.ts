/**
 * Accesses that a ticket covers, out of records: an assignment begins with its `ticket.assign` and ends with the next one, or a
 * `ticket.close`, of that ticket. Those of before the range have to be shown.
 */
import { indexableResourceId } from '../../store/rows.ts';
import type { Resolved } from '../questions/question.ts';
import { inOrder, type Candidate, type Excuses } from './excuse.ts';
import type { Facts } from './facts.ts';
import { ticketOf } from './records.ts';

const ACCESSES_MAX = 500_000;
const EVENTS_MAX = 500_000;

interface Access extends Candidate {
  readonly ms: number;
  /** That it names; '' for none. */
  readonly ticket: string;
  readonly customer: string | null;
}

interface TicketEvent extends Omit<Candidate, 'row'> {
  readonly ms: number;
  readonly ticket: string;
  /** Whom it assigns the ticket to; null: nobody. */
  readonly assignee: string | null;
  readonly customer: string | null;
}

/** An assignment to the actor: [from, to), in milliseconds. */
interface Assignment {
  readonly ticket: string;
  readonly customer: string | null;
  readonly from: number;
  readonly to: number;
}

/** Begins with the first record. */
export function createAssignments(question: Resolved): Excuses {
  const actor = question.text('actor');
  const [since, until] = [Date.parse(question.since), Date.parse(question.until)];
  const { tenant } = question;
  const accesses: Access[] = [];
  const events: TicketEvent[] = [];
  let isTooMuch = false;
  const uses = (facts: Facts): boolean =>
    isTicketEvent(facts) && facts.tenant === tenant && facts.ms >= since;
  return {
    uses: (facts) => uses(facts) && facts.ms < until,
    why: 'a ticket that was assigned to the actor covers the access',
    take: (facts, place, isCandidate) => {
      if (uses(facts)) {
        if (events.length < EVENTS_MAX) events.push(eventOf(facts, place));
        else isTooMuch = true;
      }
      if (!isCandidate) return;
      const { ms } = facts;
      if (accesses.length >= ACCESSES_MAX) isTooMuch = true;
      else accesses.push({ ...place, ms, ticket: ticketOf(facts), customer: customerOf(facts) });
    },
    conclude: async (beyond) => {
      const earlier = await beyond.ticketEvents(actor);
      if (isTooMuch || earlier === null) return null;
      const before = earlier.filter((one) => isTicketEvent(one) && one.ms < since);
      const all = [...before.map((one) => eventOf(one, one)), ...events];
      const assignments = assignmentsOf(all, actor).filter(({ from }) => from < until);
      const isCovered = ({ ms, ticket, customer }: Access): boolean =>
        assignments.some(
          (one) =>
            ms >= one.from &&
            ms < one.to &&
            (ticket === '' || ticket === one.ticket) &&
            (customer === null ? ticket !== '' : customer === one.customer),
        );
      return {
        wrong: accesses.filter((one) => one.row !== undefined && isCovered(one)),
        hidden: accesses.filter((one) => one.row === undefined && !isCovered(one)),
      };
    },
  };
}

function isTicketEvent({ resourceType, action, outcome }: Facts): boolean {
  return (
    resourceType === 'ticket' &&
    ['ticket.assign', 'ticket.close'].includes(action) &&
    outcome === 'success'
  );
}

function eventOf(facts: Facts, { stream, streamId, seq }: Omit<Candidate, 'row'>): TicketEvent {
  return {
    ...{ stream, streamId, seq, ms: facts.ms },
    ticket: indexableResourceId(facts.resourceId),
    assignee: facts.action === 'ticket.assign' ? facts.assignee() : null,
    customer: facts.said('customer'),
  };
}

/** Whose data it is. */
export function customerOf({ said, resourceType, resourceId, onBehalfOf }: Facts): string | null {
  const itself = resourceType === 'customer' ? indexableResourceId(resourceId) : null;
  return said('customer') ?? itself ?? onBehalfOf;
}

function assignmentsOf(events: readonly TicketEvent[], actor: string): readonly Assignment[] {
  const byTicket = new Map<string, TicketEvent[]>();
  for (const event of events) {
    const known = byTicket.get(event.ticket) ?? [];
    byTicket.set(event.ticket, known);
    known.push(event);
  }
  return [...byTicket.values()].flatMap((of) =>
    of.sort(inOrder).flatMap(({ assignee, ticket, customer, ms }, at) => {
      const to = of[at + 1]?.ms ?? Infinity;
      return assignee === actor ? [{ ticket, customer, from: ms, to }] : [];
    }),
  );
}
