/** What an application hands to record(): with marked people in it, and without. */
import type { ActorType, Correlation, Json, Outcome, Principal, Source } from '../schemas/event.ts';
import type { Subject } from './subjects/mark.ts';

/** A principal whose id is a marked person needs no name: the token stands there as well. */
export type PrincipalDraft =
  | { readonly type: ActorType; readonly id: string; readonly name: string | Subject }
  | { readonly type: ActorType; readonly id: Subject; readonly name?: Subject };

/** An actor as the application names it; `on_behalf_of` is null when left out. */
export type ActorDraft = PrincipalDraft & {
  readonly on_behalf_of?: PrincipalDraft | null;
  readonly session_id?: string;
  readonly roles?: readonly string[];
};

/** A value of metadata, in which people may be marked at any depth. */
export type MetadataDraft =
  Json | Subject | readonly MetadataDraft[] | { readonly [name: string]: MetadataDraft };

/** What the application says happened; everything else is filled in. */
export type EventDraft = DraftOf<ActorDraft, string | Subject, MetadataDraft>;

/** An actor without marks. */
export interface PlainActor extends Principal {
  readonly on_behalf_of?: Principal | null;
  readonly session_id?: string;
  readonly roles?: readonly string[];
}

/** A draft in which tokens stand for the marked people. */
export type PlainDraft = DraftOf<PlainActor, string, Json>;

interface DraftOf<Actor, Text, Value> {
  /** From the vocabulary: `customer.export`. */
  readonly action: string;
  readonly outcome: Outcome;
  /** Who did it; left out, the context's actor. */
  readonly actor?: Actor;
  readonly resource: {
    readonly type: string;
    readonly id: Text;
    readonly name?: Text;
    /** Left out: the context's tenant, then the default tenant. */
    readonly tenant_id?: string;
  };
  readonly metadata?: { readonly [name: string]: Value };
  /** Names of fields viewed or changed; never their values. */
  readonly changes?: readonly string[];
  /** Left out: the context's; service and version left out: those of the Audit. */
  readonly source?: Partial<Source>;
  /** Laid over the context's. */
  readonly correlation?: Partial<Correlation>;
  /** When it happened; left out, now. A text needs a zone (`Z` or an offset). */
  readonly time?: Date | string;
  /** A ULID; left out, a new one. Give it where the same event may come twice: queries show it once. */
  readonly event_id?: string;
}
