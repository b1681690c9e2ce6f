/** The agent from outside: what it is started with, and what can be done with it then. */
import type { Config } from '../schemas/config.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import type { EmbeddedServer } from './embedded-server.ts';
import type { Logger, ReloadReport } from './ports.ts';
import type { Receivers } from './receive/receivers.ts';
import type { Reread } from './reload.ts';

export interface AgentOptions {
  readonly config: Config;
  readonly vocabulary: Vocabulary;
  readonly log: Logger;
  /** Reads configuration and vocabulary again, for a reload. */
  readonly reread: Reread;
  /** Told when a reload changes how much is logged. */
  readonly onLogLevel?: (level: Config['service']['telemetry']['log_level']) => void;
}

export interface Agent {
  /** Where each listener really listens; null where it is not configured. */
  readonly listening: Receivers['listening'] & { readonly admin: string };
  /** Key files made at this start. */
  readonly generatedKeys: readonly string[];
  /** The embedded server's first start: up, or why not yet; null without one. */
  readonly database: EmbeddedServer['first'] | null;
  /** Takes up what it can of a changed configuration; the log says what. */
  reload(): Promise<ReloadReport>;
  /** Settles when the agent cannot go on (disk failed, lock lost), with the reason. Stop it then. */
  readonly failed: Promise<string>;
  /** Takes no more, acks what it took, delivers what time allows, stops everything. Idempotent. */
  stop(): Promise<void>;
}
