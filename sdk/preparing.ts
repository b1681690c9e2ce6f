/** What an Audit prepares its events with, from its options. */
import { createRedactor } from '../redaction/redaction.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import { createPreparer, type PreparedEvent } from './draft.ts';
import type { PlainDraft } from './event-draft.ts';
import { createEventIds } from './event-id.ts';
import type { RefusedAction } from './fail-policy.ts';
import type { AuditOptions, ResolvedOptions } from './options.ts';

/** What may be told of an action that did not begin: it has no event, and no other name than a known one. */
export function actionOf(action: string, { actions }: Vocabulary): RefusedAction | null {
  const definition = actions.get(action);
  return definition === undefined
    ? null
    : { action, event_id: undefined, fail_policy: definition.fail_policy };
}

/** The preparer of an Audit. */
export function createPreparerOf(
  options: AuditOptions,
  resolved: ResolvedOptions,
  vocabulary: Vocabulary,
): (draft: PlainDraft) => PreparedEvent {
  const redactor = createRedactor({
    masterKey: resolved.redactionKey,
    ...(options.sensitiveKeys === undefined ? {} : { sensitiveKeys: options.sensitiveKeys }),
    keepsEmails: options.subjects === undefined,
  });
  return createPreparer({
    service: options.service,
    serviceVersion: options.serviceVersion ?? null,
    tenant: resolved.tenant,
    vocabulary,
    redactor,
    nextEventId: createEventIds(),
    nowMs: clockOf(options),
  });
}

/** The wall clock of an Audit. */
export function clockOf({ clock }: AuditOptions): () => number {
  return () => (clock === undefined ? Date.now() : clock.nowMs());
}
