/**
 * Records what operators do to the trail itself, as events of the trail. A purge goes into the stream
 * that it purges, or, where that one belongs to an incarnation that is over, into the one that took its
 * place; all else into the agent's own.
 */
import { parsePurge, PURGE_ACTION } from '../ledger/purge-record.ts';
import { createRedactor } from '../redaction/redaction.ts';
import { canonicalEvent } from '../schemas/canonical-event.ts';
import { canonicalize } from '../schemas/canonical.ts';
import { checkEvent } from '../schemas/event-check.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { AGENT_RETENTION_CLASS, AGENT_TENANT, describeAgentEvent } from './append/agent-event.ts';
import type { OpenedLedger } from './append/open.ts';
import type { Base } from './base.ts';
import type { RecordedOperation } from './ports.ts';
import { parseOperation, type Operation } from './retain/operation.ts';

/** Producer of such events; they are numbered as the agent's own. */
const PRODUCER = 'operator';

/** Creates what the admin socket's `/operation` calls. */
export function recordOperations(
  { agent, keys, config }: Base,
  { append }: OpenedLedger,
): (body: string) => Promise<Result<RecordedOperation, string>> {
  const redactor = createRedactor({
    masterKey: keys.redaction,
    sensitiveKeys: config.processors.redaction.sensitive_keys,
  });

  function placeOf({ stream }: Operation): Result<{ tenant: string; class: string }, string> {
    if (stream === null) return ok({ tenant: AGENT_TENANT, class: AGENT_RETENTION_CLASS });
    const known = append.status().streams.find((one) => one.stream === stream);
    if (known === undefined) return err(`${stream} is no stream of this agent`);
    return ok({ tenant: known.tenant, class: stream.split('/')[4] ?? '' });
  }

  return async (body) => {
    const read = parseOperation(body);
    if (!read.ok) return read;
    const place = placeOf(read.value);
    if (!place.ok) return place;
    const { tenant, class: retention_class } = place.value;
    const said = describeAgentEvent(agent, { ...read.value, tenant }, Date.now());
    const checked = checkEvent(said);
    if (!checked.ok) return err(checked.error.message);
    // What people write may hold anything; a purge is hashes and numbers, and must stay as it is.
    const isPurge = read.value.stream !== null;
    const { metadata } = read.value;
    if (isPurge && parsePurge({ event: { action: PURGE_ACTION }, metadata }) === null)
      return err('metadata is no record of a purge');
    const event = isPurge ? said : redactor.redactEvent(said);
    const canonical = canonicalEvent(canonicalize(event));
    const [outcome] = await append.append({
      producer: PRODUCER,
      firstSeq: null,
      events: [ok({ tenant, retention_class, canonical })],
    });
    if (outcome === undefined || outcome.kind === 'refused')
      return err(outcome?.refusal.message ?? 'the ledger did not answer');
    return ok({ ...outcome.receipt, event_id: event.event_id, metadata: event.metadata });
  };
}
