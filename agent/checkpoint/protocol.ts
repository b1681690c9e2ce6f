/** What the main thread and the checkpoint thread say to each other. Both are of one build. */
import type { KeyObject } from 'node:crypto';
import type { CheckpointStatus } from '../status-ports.ts';
import type { CheckpointSettings } from './stage.ts';
import type { LogMessage } from '../thread-log.ts';

/** What the thread starts with. */
export interface CheckpointStart {
  readonly dataDir: string;
  readonly agent: string;
  readonly incarnation: string;
  readonly signingKey: KeyObject;
  readonly settings: CheckpointSettings;
  /** Durable records of the ledger. */
  readonly durable: number;
}

export type ToCheckpointThread =
  | { readonly kind: 'durable'; readonly records: number }
  | { readonly kind: 'pause'; readonly isPaused: boolean }
  | { readonly kind: 'stop' };

export type FromCheckpointThread =
  { readonly kind: 'status'; readonly status: CheckpointStatus } | LogMessage;
