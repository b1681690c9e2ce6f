/**
 * The audit event, schema_version "1.0": what an application says happened.
 * Field names are the wire's and the disk's; the JSON Schema beside this file
 * (event.schema.json) is the contract for other languages.
 */

/** The schema version this build writes; another one is refused at the door. */
export const SCHEMA_VERSION = '1.0';

export type Outcome = 'success' | 'failure' | 'denied';
export type ActorType = 'user' | 'admin' | 'service' | 'system' | 'api_key' | 'anonymous';

export interface Principal {
  readonly type: ActorType;
  readonly id: string;
  readonly name: string;
}

export interface Actor extends Principal {
  /** Whom the actor acted for; null on an ordinary action, never absent. */
  readonly on_behalf_of: Principal | null;
  readonly session_id?: string;
  readonly roles?: readonly string[];
}

export interface Resource {
  readonly type: string;
  readonly id: string;
  readonly name?: string;
  readonly tenant_id: string;
}

export interface Source {
  readonly ip: string | null;
  readonly user_agent: string | null;
  readonly service: string;
  readonly service_version: string | null;
}

export interface Correlation {
  readonly request_id: string | null;
  /** 32 lower-case hex digits (W3C Trace Context). */
  readonly trace_id: string | null;
  /** 16 lower-case hex digits. */
  readonly span_id?: string;
  readonly workflow_id?: string;
}

/** What a foreign client said of its record and our form has no place for (OTLP only). */
export interface Origin {
  readonly signal: 'logs' | 'audit';
  /** The client's record id, verbatim; the dedupe key. */
  readonly record_id?: string;
  /** SHA-256 (hex) of the record as it arrived: the same id with another payload is refused. */
  readonly payload_sha256?: string;
  /** The client's outcome where it is none of ours (`unknown`, recorded as `failure`). */
  readonly outcome?: string;
  readonly sequence_number?: string;
  readonly previous_hash?: string;
  readonly stream_id?: string;
  readonly integrity?: {
    readonly value: string;
    readonly signer?: string;
    readonly verify_status: 'passed' | 'failed' | 'deferred';
  };
}

export type Json =
  string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

export interface AuditEvent {
  readonly schema_version: typeof SCHEMA_VERSION;
  /** ULID, 26 characters of Crockford base32. */
  readonly event_id: string;
  readonly event: {
    readonly action: string;
    readonly category: string;
    readonly outcome: Outcome;
    /** UTC, `YYYY-MM-DDTHH:MM:SS.sssZ`. */
    readonly time: string;
  };
  readonly actor: Actor;
  readonly resource: Resource;
  readonly source: Source;
  readonly correlation: Correlation;
  readonly metadata: { readonly [name: string]: Json };
  /** Names of fields viewed or changed; never their values. */
  readonly changes?: readonly string[];
  readonly origin?: Origin;
}
