/** What the page is given: its settings, and the doors to the store, the certificate, the agent and the log. Types alone. */
import type { Readable } from 'node:stream';
import type { AnswerRow, Asked } from '../answer.ts';
import type { Auditor } from '../ask.ts';
import type { Certificate } from '../certificate/certificate.ts';
import type { Trust } from '../../ledger/trust.ts';
import type { Result } from '../../schemas/result.ts';

/** A database login: what the store knows a person as. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/** What operators are shown; a part of the agent's own status. */
export interface Health {
  readonly agent: string;
  readonly version: string;
  readonly started_at: string;
  readonly append: {
    readonly state: string;
    readonly records: number;
    readonly ledger_bytes: number;
    readonly queue_events: number;
    readonly queue_events_max: number;
    readonly last_fsync_ms: number | null;
    readonly last_fsync_at: string | null;
    readonly last_error: string | null;
  };
  readonly disk: {
    readonly used_ratio: number;
    readonly bytes_left: number;
    readonly seconds_left: number | null;
  } | null;
  readonly rollback: string | null;
  readonly checkpoints: {
    readonly state: string;
    readonly lag_records: number;
    readonly signed_at: string | null;
    readonly anchored_at: string | null;
    readonly anchors: {
      readonly quorum: number;
      readonly quorum_at: string | null;
      readonly members: readonly {
        readonly name: string;
        readonly state: string;
        readonly anchored_at: string | null;
        readonly last_error: string | null;
      }[];
    } | null;
    readonly last_error: string | null;
  } | null;
  readonly sinks: readonly {
    readonly name: string;
    readonly type: string;
    readonly required: boolean;
    readonly state: string;
    readonly lag_records: number;
    readonly lag_seconds: number;
    readonly delivered_total: number;
    readonly skipped_total: number;
    readonly dead_letters: number;
    readonly last_error: string | null;
  }[];
}

export interface WebLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How people prove who they are. */
export interface SignInSettings {
  /** Null: everybody has a database login of their own, and its password. */
  readonly people: ReadonlyMap<string, PersonEntry> | null;
  readonly oidc: OidcSettings | null;
  /** Names that may see the agent's health. */
  readonly operators: ReadonlySet<string>;
}

export interface PersonEntry {
  /** Undefined: signs in by OpenID Connect alone. */
  readonly passwordHash: string | undefined;
  readonly login: Login;
}

export interface OidcSettings {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Which claim names the person in the people list. */
  readonly claim: string;
  /** On the button. */
  readonly title: string;
}

/** When a session ends. */
export interface SessionLimits {
  readonly idleMs: number;
  readonly lifeMs: number;
}

export interface WebSettings {
  /** As browsers reach it, without a path; null: where it listens. */
  readonly publicUrl: string | null;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  readonly signIn: SignInSettings;
  readonly session: SessionLimits;
}

/** Work that takes its time. */
export interface Work {
  /** Aborted: nobody waits for it any longer. */
  readonly signal: AbortSignal;
  readonly onProgress?: (recordsRead: number) => void;
  /** Takes each row of the answer that is certified. */
  readonly onRow?: (row: AnswerRow, line: string) => void;
}

export interface WebPorts {
  readonly settings: WebSettings;
  readonly log: WebLog;
  readonly nowMs: () => number;
  readonly openAuditor: (login: Login) => Auditor;
  /** With the rights of the login. */
  readonly certify: (
    login: Login,
    asked: Asked,
    work: Work,
  ) => Promise<Result<Certificate, string>>;
  /** Null: this server has no access to the agent's files. */
  readonly proofOf: ((eventId: string) => Promise<Result<string, string>>) | null;
  /** Keys that proofs are judged by; null: signatures are not judged. */
  readonly trust: Trust | null;
  /** As a .zip; whoever reads it to its end, or destroys it, leaves nothing behind. */
  readonly bundleOf:
    ((login: Login, asked: Asked, work: Work) => Promise<Result<Readable, string>>) | null;
  /** Public half of the key that signs the bundles; null: they are not signed. */
  readonly bundleKey: string | null;
  /** Null: no agent was named. */
  readonly health: (() => Promise<Result<Health, string>>) | null;
}
