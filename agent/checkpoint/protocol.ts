/** What the main thread and the checkpoint thread say to each other. Both are of one build. */
import type { KeyObject } from 'node:crypto';
import type { AnchorsConfig } from '../../schemas/anchor-config.ts';
import type { Fork } from '../ports.ts';
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
  readonly anchors: AnchorsConfig;
  /** Durable records of the ledger. */
  readonly durable: number;
}

export type ToCheckpointThread =
  { readonly kind: 'durable'; readonly records: number } | { readonly kind: 'stop' };

export type FromCheckpointThread =
  | { readonly kind: 'status'; readonly status: CheckpointStatus }
  /** An anchor holds this anchor log as somebody else goes on with it. */
  | { readonly kind: 'fork'; readonly fork: Fork }
  | LogMessage;
