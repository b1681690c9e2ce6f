/**
 * From an OTLP log record to an audit event, by the names in schemas/otel-audit.ts. Pure. What the
 * event has no field for goes to `metadata` under its own name; what makes the record foreign (its id,
 * its sequence, its proof) goes to `origin`.
 */
import { createHash } from 'node:crypto';
import { SCHEMA_VERSION, type AuditEvent, type Json, type Origin } from '../../schemas/event.ts';
import { AUDIT, OURS, RESOURCE } from '../../schemas/otel-audit.ts';
import type { OtlpRecord } from '../../schemas/otlp.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { ulidOf } from '../../schemas/ulid.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import {
  describeAbsent,
  mapAction,
  mapActor,
  mapOutcome,
  readCorrelation,
  readNames,
  readSource,
  readTarget,
  timeOf,
  type ActionName,
} from './otlp-fields.ts';
import { verifyProof, type IntegrityTrust } from './otlp-integrity.ts';
import type { ForeignResource } from './otlp-resource.ts';
import {
  createTaker,
  payloadFingerprint,
  signedBytes,
  toJson,
  toJsonObject,
  type AttributeTaker,
} from './otlp-values.ts';

export interface MappingOptions {
  readonly signal: 'logs' | 'audit';
  readonly vocabulary: Vocabulary;
  readonly defaultTenant: string | undefined;
  readonly trust: IntegrityTrust;
  /** Key of the payload fingerprint. */
  readonly payloadKey: Uint8Array;
}

/** Why a record is refused: an ordinary refusal, or a proof that does not hold. */
export interface MappingFault {
  readonly kind: Refusal['kind'] | 'integrity_failed';
  readonly message: string;
  readonly field?: string;
}

export type ForeignOrigin = Origin & {
  readonly record_id: string;
  readonly payload_sha256: string;
};
export type ForeignEvent = AuditEvent & { readonly origin: ForeignOrigin };

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Maps one record. Whether the event may enter is left to admission. */
export function mapRecord(
  record: OtlpRecord,
  resource: ForeignResource,
  options: MappingOptions,
): Result<ForeignEvent, MappingFault> {
  const absent = describeAbsent(record, options.signal);
  if (absent !== null) return err(absent);
  const timeMs = timeOf(record, options.signal);
  if (timeMs === null) return err(refusal('schema_invalid', 'Timestamp is unset or out of range'));
  const taker = createTaker(record.attributes);
  const names = readNames(taker, resource.tenant ?? options.defaultTenant);
  if (!names.ok) return names;
  const outcome = mapOutcome(taker);
  if (!outcome.ok) return outcome;
  const action = mapAction(taker, record.eventName, options.vocabulary);
  if (!action.ok) return action;
  const actor = mapActor(taker);
  if (!actor.ok) return actor;
  const integrity = mapIntegrity(taker, record, resource, options.trust);
  if (!integrity.ok) return integrity;

  const { recordId, tenant } = names.value;
  const { service, serviceVersion } = resource;
  const changes = taker.texts(OURS.changes);
  const event: Omit<ForeignEvent, 'metadata'> = {
    schema_version: SCHEMA_VERSION,
    event_id: deriveEventId(recordId, tenant, timeMs),
    event: {
      action: action.value.name,
      category: action.value.category,
      outcome: outcome.value.outcome,
      time: new Date(timeMs).toISOString(),
    },
    actor: actor.value,
    resource: { ...readTarget(taker), tenant_id: tenant },
    source: { ...readSource(taker), service, service_version: serviceVersion },
    correlation: readCorrelation(taker, record),
    ...(changes === undefined ? {} : { changes }),
    origin: {
      signal: options.signal,
      record_id: recordId,
      payload_sha256: payloadFingerprint(record, service, options.payloadKey),
      ...(outcome.value.foreign === undefined ? {} : { outcome: outcome.value.foreign }),
      ...readSequence(taker),
      ...(integrity.value === null ? {} : { integrity: integrity.value }),
    },
  };
  const metadata = collectMetadata(taker, record, resource, action.value);
  if (!metadata.ok) return metadata;
  const fault = taker.faults[0];
  return fault === undefined ? ok({ ...event, metadata: metadata.value }) : err(fault);
}

function mapIntegrity(
  taker: AttributeTaker,
  record: OtlpRecord,
  resource: ForeignResource,
  trust: IntegrityTrust,
): Result<NonNullable<Origin['integrity']> | null, MappingFault> {
  const given = record.attributes.get(AUDIT.integrityValue);
  // Several proofs in a list are not read yet: they stay in the metadata, verified by nobody.
  if (given === undefined || !('stringValue' in given)) return ok(null);
  const value = taker.text(AUDIT.integrityValue);
  const signer = taker.text(AUDIT.integritySigner);
  const { integrityAlgorithm: algorithm, integrityCertificate: certificate } = resource;
  if (value === undefined || algorithm === undefined) {
    const name = RESOURCE.integrityAlgorithm;
    const message = `${AUDIT.integrityValue} needs a value, and ${name} as a resource attribute`;
    return err(refusal('schema_invalid', message, AUDIT.integrityValue));
  }
  const proof = {
    value,
    algorithm,
    certificate,
    canonicalization: taker.text(AUDIT.integrityCanonicalization) ?? 'jcs',
  };
  const status = verifyProof(proof, () => signedBytes(record), trust);
  if (status === 'failed') {
    const message = `${AUDIT.integrityValue} does not verify with the trusted key; the record was changed, or signed in another form`;
    return err({ kind: 'integrity_failed', message, field: AUDIT.integrityValue });
  }
  return ok({ value, ...(signer === undefined ? {} : { signer }), verify_status: status });
}

function readSequence(
  taker: AttributeTaker,
): Pick<Origin, 'sequence_number' | 'previous_hash' | 'stream_id'> {
  const number = taker.text(AUDIT.sequenceNumber);
  const hash = taker.text(AUDIT.previousHash) ?? taker.text(AUDIT.previousHashOld);
  const stream = taker.text(AUDIT.streamId);
  return {
    ...(number === undefined ? {} : { sequence_number: number }),
    ...(hash === undefined ? {} : { previous_hash: hash }),
    ...(stream === undefined ? {} : { stream_id: stream }),
  };
}

function collectMetadata(
  taker: AttributeTaker,
  record: OtlpRecord,
  resource: ForeignResource,
  action: ActionName,
): Result<{ readonly [name: string]: Json }, Refusal> {
  const own: Record<string, Json> = {};
  if (action.verb !== undefined) own[AUDIT.action] = action.verb;
  if (record.body !== null) own['body'] = toJson(record.body);
  if (record.eventName !== '' && record.eventName !== action.name) {
    own['event_name'] = record.eventName;
  }
  if (resource.kept !== null) own['resource'] = resource.kept;
  for (const name of Object.keys(own)) {
    if (!taker.has(name)) continue;
    const message = `an attribute named ${name} collides with the place of the record's own ${name}; rename it`;
    return err(refusal('duplicate_key', message, name));
  }
  return ok({ ...toJsonObject(taker.rest()), ...own });
}

/** A ULID that a retry gives again: the event's time, and 80 bits of a hash of tenant and record id. */
function deriveEventId(recordId: string, tenant: string, timeMs: number): string {
  if (ULID.test(recordId)) return recordId;
  // A tenant id holds no newline, so two pairs never make one text.
  const digest = createHash('sha256').update(`${tenant}\n${recordId}`).digest();
  return ulidOf(timeMs, digest);
}
