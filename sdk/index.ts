/**
 * @sealtrail/sdk: the door. What is not listed here is internal.
 */
export { createAudit } from './audit.ts';
export type { Audit, AuditStats } from './audit.ts';
export { DeniedError } from './audited.ts';
export type { Audited, AuditedDraft, AuditedOptions, Note } from './audited.ts';
export type { BreakerLimits, BreakerState } from './breaker.ts';
export { currentContext, currentCorrelation, enterContext, runWithContext } from './context.ts';
export type { AuditContext, CorrelationIds } from './context.ts';
export { AuditError, AuditErrorCode } from './errors.ts';
export type { ActorDraft, EventDraft, MetadataDraft, PrincipalDraft } from './event-draft.ts';
export type { AuditFailure } from './failure.ts';
export { downstreamHeaders } from './http-context.ts';
export type { AuditOptions, SpoolingAuditOptions, SpoolOptions } from './options.ts';
export { createAuditLoggerProvider } from './otel-bridge.ts';
export type { RecordReceipt, SpooledReceipt } from './batch.ts';
export type { VocabularySource } from './vocabulary-source.ts';
export type { AuditEvent, ActorType, Json, Outcome, Principal } from '../schemas/event.ts';
export type { Receipt } from '../schemas/record.ts';
export type { FailPolicy } from '../schemas/vocabulary.ts';
