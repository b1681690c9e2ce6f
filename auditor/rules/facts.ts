/**
 * What an event says, as far as questions ask for it. The event may have any form, for it may be forged; what it does not
 * say is ''. Pure, and shared with no statement.
 */
import { memberOf } from '../../schemas/untrusted-json.ts';
import { jsonbText } from './jsonb-text.ts';

export interface Facts {
  readonly eventId: string;
  readonly tenant: string;
  /** When it happened, by what it says; where that is no time, when it was received. */
  readonly ms: number;
  readonly actor: string;
  readonly onBehalfOf: string | null;
  readonly action: string;
  readonly category: string;
  readonly outcome: string;
  readonly resourceType: string;
  readonly resourceId: string;
  /** Text of a member of metadata, as the database has it; null where there is none, or jsonb cannot hold the event. */
  said(name: string): string | null;
  /** Who was assigned what the event is about; null: nobody, or it is no text. */
  assignee(): string | null;
}

/** Canonical text writes U+0000 in one way; no other character that jsonb refuses can stand in it. */
const NUL = /(?<!\\)(?:\\\\)*\\u0000/;

/** Reads the facts of an event; `text` is what it was parsed from. */
export function factsOf(event: unknown, text: string): Facts {
  const [about, actor, resource] = ['event', 'actor', 'resource'].map((name) =>
    memberOf(event, name),
  );
  const behalf = memberOf(memberOf(actor, 'on_behalf_of'), 'id');
  const inMetadata = (name: string): unknown =>
    NUL.test(text) ? undefined : memberOf(memberOf(event, 'metadata'), name);
  return {
    eventId: textOf(memberOf(event, 'event_id')),
    tenant: textOf(memberOf(resource, 'tenant_id')),
    ms: timeOf(memberOf(about, 'time'), memberOf(memberOf(event, 'chain'), 'received_at')),
    actor: textOf(memberOf(actor, 'id')),
    onBehalfOf: typeof behalf === 'string' ? behalf : null,
    action: textOf(memberOf(about, 'action')),
    category: textOf(memberOf(about, 'category')),
    outcome: textOf(memberOf(about, 'outcome')),
    resourceType: textOf(memberOf(resource, 'type')),
    resourceId: textOf(memberOf(resource, 'id')),
    said: (name) => {
      const value = inMetadata(name);
      return value === undefined || value === null ? null : jsonbText(value);
    },
    assignee: () => {
      const value = inMetadata('assignee');
      return typeof value === 'string' ? value : null;
    },
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function timeOf(said: unknown, received: unknown): number {
  const ms = Date.parse(textOf(said));
  return Number.isNaN(ms) ? Date.parse(textOf(received)) : ms;
}
