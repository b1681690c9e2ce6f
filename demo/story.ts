/** The whole story of a month, in the order in which it happened, as events; and the truth about it. Pure. */
import { SCHEMA_VERSION, type AuditEvent } from '../schemas/event.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import { tellAlice } from './alice.ts';
import { tellAnomalies } from './anomalies.ts';
import { tellColleagues, tellEveryday } from './everyday.ts';
import type { Happening } from './happening.ts';
import { createRandom, type Random } from './random.ts';
import { createScene, monthOf } from './scene.ts';

/** A happening and the event that its service records of it. */
export interface Told {
  readonly what: Happening;
  readonly event: AuditEvent;
}

/** Nobody who investigates reads this; a test compares it with what was found. */
export interface Truth {
  readonly seed: number;
  readonly month: string;
  readonly events: number;
  readonly alice: {
    readonly outside: readonly {
      readonly event_id: string;
      readonly time: string;
      readonly customer: string;
      readonly on_behalf_of: string | null;
      readonly why: string;
    }[];
    readonly covered: readonly string[];
    /** The one with logs and a trace that say most. */
    readonly suspect: {
      readonly event_id: string;
      readonly request_id: string;
      readonly rows: number;
    };
  };
  readonly brute_force: { readonly actor: string; readonly denials: number };
  readonly off_hours: readonly string[];
  readonly large_export: string;
  /** To be altered once all is sealed. */
  readonly hidden: string;
}

export interface Story {
  readonly told: readonly Told[];
  readonly truth: Truth;
}

const FIRST_TICKET = 4_200;
const COLLEAGUES_FIRST_TICKET = 4_300;

/** Tells the month's story of a seed. */
export function tellStory(seed: number, monthName: string, vocabulary: Vocabulary): Story {
  const random = createRandom(seed);
  const scene = createScene(monthOf(monthName), random);
  const alice = tellAlice(scene, FIRST_TICKET);
  const anomalies = tellAnomalies(scene);
  const happenings = [
    ...alice.happenings,
    ...anomalies.happenings,
    ...tellColleagues(scene, COLLEAGUES_FIRST_TICKET),
    ...tellEveryday(scene),
  ]
    .filter(({ atMs }) => atMs < scene.month.untilMs)
    .sort((one, other) => one.atMs - other.atMs);
  const told = happenings.map((what) => ({ what, event: eventOf(what, random, vocabulary) }));
  const idOf = new Map(told.map(({ what, event }) => [what, event]));
  const found = (what: Happening): AuditEvent => {
    const event = idOf.get(what);
    if (event === undefined) throw new RangeError('it is no part of the month');
    return event;
  };
  const rows = alice.happenings.find(
    ({ action, request }) => action === 'customer.export' && request === alice.suspect.request,
  )?.metadata['row_count'];
  return {
    told,
    truth: {
      seed,
      month: monthName,
      events: told.length,
      alice: {
        outside: alice.outside
          .map(({ what, why }) => ({
            event_id: found(what).event_id,
            time: found(what).event.time,
            customer: String(what.metadata['customer']),
            on_behalf_of: what.onBehalfOf?.id ?? null,
            why,
          }))
          .sort((one, other) => one.time.localeCompare(other.time)),
        covered: alice.covered.map((what) => found(what).event_id),
        suspect: {
          event_id: found(alice.suspect).event_id,
          request_id: alice.suspect.request?.requestId ?? '',
          rows: Number(rows),
        },
      },
      brute_force: anomalies.bruteForce,
      off_hours: anomalies.offHours.map((what) => found(what).event_id),
      large_export: found(anomalies.largeExport).event_id,
      hidden: found(alice.hidden).event_id,
    },
  };
}

function eventOf(what: Happening, random: Random, vocabulary: Vocabulary): AuditEvent {
  const category = vocabulary.actions.get(what.action)?.category;
  if (category === undefined) throw new RangeError(`the vocabulary has no ${what.action}`);
  const { request } = what;
  return {
    schema_version: SCHEMA_VERSION,
    event_id: random.ulid(what.atMs),
    event: {
      action: what.action,
      category,
      outcome: what.outcome,
      time: new Date(what.atMs).toISOString(),
    },
    actor: { ...what.actor, on_behalf_of: what.onBehalfOf },
    resource: { ...what.resource, tenant_id: what.tenant },
    source: { ip: what.ip, user_agent: null, service: what.service, service_version: '3.1.0' },
    correlation: {
      request_id: request?.requestId ?? `req-${random.hex(16)}`,
      trace_id: request?.traceId ?? random.hex(32),
    },
    metadata: what.metadata,
  };
}
