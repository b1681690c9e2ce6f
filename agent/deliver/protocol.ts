/** What the main thread and the delivery thread say to each other. Both are of one build. */
import type { ExporterConfig } from '../../schemas/exporter-config.ts';
import type { MappingAgent } from '../../schemas/mapping.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import type {
  DeadLetter,
  DeadLetterRetry,
  DeliveryReport,
  Fork,
  SkippedRecords,
} from '../ports.ts';
import type { SinkReport } from './progress.ts';
import type { LogMessage } from '../thread-log.ts';

/** What the thread starts with. */
export interface WorkerStart {
  readonly dataDir: string;
  readonly exporters: readonly ExporterConfig[];
  readonly vocabulary: Vocabulary;
  readonly agent: MappingAgent;
  /** Durable records of the ledger. */
  readonly durable: number;
}

/** Exporters from now on, all of them. */
export type SinkChange = Pick<WorkerStart, 'exporters' | 'vocabulary'>;

export type ToWorker =
  | { readonly kind: 'durable'; readonly records: number }
  | { readonly kind: 'list'; readonly id: number; readonly sink?: string; readonly limit: number }
  | { readonly kind: 'retry'; readonly id: number; readonly sink?: string }
  /** What came of the skip with that number. */
  | { readonly kind: 'skip_recorded'; readonly id: number; readonly isRecorded: boolean }
  | ({ readonly kind: 'change'; readonly id: number } & SinkChange)
  /** Nothing gathers any more. */
  | { readonly kind: 'flush' }
  | { readonly kind: 'stop' };

export type FromWorker =
  /** Every loop has begun, or says why it has not. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'sinks'; readonly sinks: readonly SinkReport[] }
  | { readonly kind: 'report'; readonly report: DeliveryReport }
  | { readonly kind: 'fork'; readonly fork: Fork }
  | LogMessage
  /** A skip to be recorded in the ledger before it happens. */
  | { readonly kind: 'skip'; readonly id: number; readonly skipped: SkippedRecords }
  | Answer;

/** Answers carry the number of their question. */
export type Answer =
  | { readonly kind: 'listed'; readonly id: number; readonly letters: readonly DeadLetter[] }
  | { readonly kind: 'retried'; readonly id: number; readonly result: DeadLetterRetry }
  | { readonly kind: 'changed'; readonly id: number }
  /** The disk did not let it answer. */
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string };
