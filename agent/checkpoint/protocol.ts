/** What the main thread and the checkpoint thread say to each other. Both are of one build. */
import type { AnchorsConfig } from '../../schemas/anchor-config.ts';
import type { Fork } from '../ports.ts';
import type { CheckpointStatus } from '../status-ports.ts';
import type { CheckpointSettings } from './stage.ts';
import type { SigningKey } from '../signing-key.ts';
import type { LogMessage } from '../thread-log.ts';

/** What the thread starts with. */
export interface CheckpointStart {
  readonly dataDir: string;
  readonly agent: string;
  readonly incarnation: string;
  /** The agent's key; both keys while one takes over from the other. */
  readonly keys: readonly SigningKey[];
  /** Every key that has signed, or signs, as text. */
  readonly vkeys: readonly string[];
  readonly settings: CheckpointSettings;
  readonly anchors: AnchorsConfig;
  /** Durable records of the ledger. */
  readonly durable: number;
}

export type ToCheckpointThread =
  | { readonly kind: 'durable'; readonly records: number }
  | { readonly kind: 'pause'; readonly isPaused: boolean }
  | { readonly kind: 'keys'; readonly keys: readonly SigningKey[] }
  /** Answered by `signed`. */
  | { readonly kind: 'sign_all' }
  /** Records of it follow: it gets an anchor log of its own, and the old one ends. */
  | { readonly kind: 'incarnation'; readonly incarnation: string }
  | { readonly kind: 'stop' };

export type FromCheckpointThread =
  | { readonly kind: 'status'; readonly status: CheckpointStatus }
  /** All that was durable is signed and anchored: the largest size signed of each origin. */
  | { readonly kind: 'signed'; readonly sizes: readonly (readonly [string, bigint])[] }
  /** An anchor holds this anchor log as somebody else goes on with it. */
  | { readonly kind: 'fork'; readonly fork: Fork }
  | LogMessage;
