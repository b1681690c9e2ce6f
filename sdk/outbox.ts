/**
 * @sealtrail/sdk/outbox: audit events that commit with the business change they tell of, or not at all.
 * What is not listed here is internal.
 */
export { createOutbox } from './outbox/writer.ts';
export type {
  IntentDraft,
  IntentLink,
  Outbox,
  OutboxOptions,
  RowOptions,
} from './outbox/writer.ts';
export { createRelay } from './outbox/relay.ts';
export type { Relay, RelayOptions, RelayStats } from './outbox/relay.ts';
export type { SetAside } from './outbox/shipment.ts';
export { createReconciler } from './outbox/reconciler.ts';
export type { Reconciler, ReconcilerOptions, ReconcileReport } from './outbox/reconciler.ts';
export type { DanglingIntent, StuckReport, StuckRow } from './outbox/reconcile.ts';
export { outboxSchema } from './outbox/schema.ts';
export type { OutboxSchemaOptions } from './outbox/schema.ts';
export type { Connect, DatabaseClient, QueryFunction, TransactionClient } from './outbox/client.ts';
