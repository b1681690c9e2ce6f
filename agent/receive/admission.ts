/**
 * Admission: whether an event may enter, decided before anything is kept. Pure. What passes is
 * checked, redacted and in canonical form; a refusal names the field and never quotes its content.
 */
import { isUtf8 } from 'node:buffer';
import type { Redactor } from '../../redaction/redaction.ts';
import { canonicalEvent } from '../../schemas/canonical-event.ts';
import { canonicalize, parseJson } from '../../schemas/canonical.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { checkDuplicateKeys } from '../../schemas/json-check.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import { EVENT_BYTES_MAX } from '../../schemas/wire.ts';
import type { Admission, AdmittedEvent, TenantAllowList } from '../ports.ts';

export interface AdmissionOptions {
  readonly tenants: ReadonlySet<string>;
  readonly vocabulary: Vocabulary;
  readonly redactor: Omit<Redactor, 'writePlain'>;
}

const TOO_LARGE: Refusal = refusal(
  'too_large',
  `the event is larger than ${EVENT_BYTES_MAX} bytes; shorten /metadata`,
);

/** Creates the admission that all receivers share. */
export function createAdmission(options: AdmissionOptions): Admission {
  const { tenants, vocabulary, redactor } = options;

  function admit(event: AuditEvent, allowed: TenantAllowList): Result<AdmittedEvent, Refusal> {
    const tenant = event.resource.tenant_id;
    if (!tenants.has(tenant)) {
      const message =
        '/resource/tenant_id is no tenant of this agent; declare it below `tenants` in the configuration';
      return err(refusal('unknown_tenant', message, '/resource/tenant_id'));
    }
    if (!allowed.has(tenant)) {
      const message =
        '/resource/tenant_id is not on the list of tenants this receiver may write for';
      return err(refusal('tenant_not_allowed', message, '/resource/tenant_id'));
    }
    const definition = vocabulary.actions.get(event.event.action);
    if (definition === undefined) {
      const message =
        '/event/action is not in the vocabulary; declare it there, or use a declared action';
      return err(refusal('unknown_action', message, '/event/action'));
    }
    if (definition.category !== event.event.category) {
      const message = `/event/category must be ${definition.category}, as the vocabulary says of this action`;
      return err(refusal('schema_invalid', message, '/event/category'));
    }
    const redacted = redactor.redactEvent(event);
    const canonical = canonicalEvent(canonicalize(redacted));
    // Numbers have longer forms, and tokens are longer than what they stand for.
    if (canonical.end > EVENT_BYTES_MAX) return err(TOO_LARGE);
    return ok({
      tenant,
      retention_class: definition.retention_class,
      canonical,
      ...(redacted.origin === undefined ? {} : { origin: redacted.origin }),
    });
  }

  /** Null where parts have to be looked at, were it only to say what is wrong. */
  function admitPlain(
    bytes: Buffer,
    start: number,
    end: number,
    allowed: TenantAllowList,
  ): Result<AdmittedEvent, Refusal> | null {
    const plain = redactor.readPlain(bytes, start, end);
    if (plain === null) return null;
    const { tenant } = plain;
    const definition = vocabulary.actions.get(plain.action);
    if (definition?.category !== plain.category) return null;
    if (!tenants.has(tenant) || !allowed.has(tenant)) return null;
    const { retention_class } = definition;
    return ok({ tenant, retention_class, canonical: plain });
  }

  function admitLine(
    bytes: Buffer,
    start: number,
    end: number,
    allowed: TenantAllowList,
  ): Result<AdmittedEvent, Refusal> {
    if (end - start > EVENT_BYTES_MAX) return err(TOO_LARGE);
    return admitPlain(bytes, start, end, allowed) ?? admitText(bytes.subarray(start, end), allowed);
  }

  function admitText(line: Buffer, allowed: TenantAllowList): Result<AdmittedEvent, Refusal> {
    if (!isUtf8(line)) return err(refusal('malformed', 'the event is not valid UTF-8'));
    const text = line.toString();
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      // The parser's message would quote the text.
      return err(refusal('malformed', 'the event is no valid JSON'));
    }
    const checked = checkEvent(value);
    if (!checked.ok) return checked;
    if (checked.value.origin !== undefined) {
      return err(refusal('schema_invalid', '/origin is set by the agent; remove it', '/origin'));
    }
    const admitted = admit(checked.value, allowed);
    // Text that is its own canonical form has no member twice.
    if (!admitted.ok || admitted.value.canonical.bytes.equals(line)) return admitted;
    const duplicate = checkDuplicateKeys(text);
    return duplicate === null ? admitted : err(duplicate);
  }

  return {
    admitLine,
    admitEvent: (event, allowed) => {
      const checked = checkEvent(event);
      return checked.ok ? admit(checked.value, allowed) : checked;
    },
  };
}

/** The allow-list of a receiver's configuration; ["*"] stands for every declared tenant. */
export function createAllowList(names: readonly string[]): TenantAllowList {
  return names.includes('*') ? { has: () => true } : new Set(names);
}
