/**
 * Redaction: what an event loses before it is queued (SDK) and again before it is sealed (agent).
 * Pure, the same code on both sides. A clean event comes back as the very object that went in;
 * redaction of a redacted event changes nothing. Fixed forms (ids, times, hashes of ours) and the
 * e-mail addresses of actor and resource stay: saying who did it to what is the log's purpose.
 */
import type { AuditEvent, Principal } from '../schemas/event.ts';
import { createKeyClassifier } from './keys.ts';
import { isFieldName } from './field-name.ts';
import { marker } from './markers.ts';
import { createPlainEventReader, type ReadPlainEvent } from './plain-event.ts';
import { createPlainEventWriter, type WritePlainEvent } from './plain-writer.ts';
import { createMetadataRedactor } from './metadata.ts';
import { createSuspicion } from './suspicion.ts';
import { redactText, type RedactedText, type Tokenize } from './text.ts';
import { createTokenizer } from './tokens.ts';

export {
  parseKeyRing,
  parseRedactionKey,
  RedactionKeyError,
  REDACTION_KEY_BYTES_MIN,
} from './tokens.ts';
export { tokensOf } from './token-lookup.ts';
export { REDACTION_RULES_VERSION } from './rules.ts';

/** What createRedactor needs. */
export interface RedactorOptions {
  /** At least 32 random bytes, the same in the SDK and the agent, or tokens will differ. */
  readonly masterKey: Uint8Array;
  /** Names of members to drop besides the built-in ones, in any spelling. */
  readonly sensitiveKeys?: readonly string[];
  /**
   * Whether e-mail addresses stay where they say who or which: in actor and resource. Default true; false where
   * people are to be found in the vault only.
   */
  readonly keepsEmails?: boolean;
}

/** Takes secrets out of events. */
export interface Redactor {
  /** Names the master key, as tokens do: 8 characters of base32. */
  readonly keyId: string;
  /** Returns the same object when there was nothing to redact; never changes its argument. */
  redactEvent(event: AuditEvent): AuditEvent;
  /** Reads an event that needs no redaction from its bytes; null for any other (plain-event.ts). */
  readonly readPlain: ReadPlainEvent;
  /** Writes such an event (plain-writer.ts). */
  readonly writePlain: WritePlainEvent;
}

/** Redacts strings of one tenant. */
interface TextScope {
  redact(text: string, keepEmails: boolean): RedactedText | null;
  /** The same of an id that is to be opaque. */
  redactId(text: string): RedactedText | null;
}

/**
 * Creates a redactor.
 * @throws RedactionKeyError for a master key of fewer than 32 bytes.
 */
export function createRedactor(options: RedactorOptions): Redactor {
  const tokenizer = createTokenizer(options.masterKey);
  const classifyKey = createKeyClassifier(options.sensitiveKeys ?? []);
  const suspicion = createSuspicion(options.sensitiveKeys ?? []);
  const keepsEmails = options.keepsEmails ?? true;
  const identity = { classifyKey, suspicion, keepEmails: keepsEmails };
  const strict = { classifyKey, suspicion, keepEmails: false };
  const opaque = { ...strict, isOpaque: true };
  const redactMetadata = createMetadataRedactor(classifyKey);

  function redactEvent(event: AuditEvent): AuditEvent {
    const tenant = event.resource.tenant_id;
    const tokenize: Tokenize = (kind, value) => tokenizer.tokenize(tenant, kind, value);
    const scope: TextScope = {
      redact: (text, keepEmails) => redactText(text, keepEmails ? identity : strict, tokenize),
      redactId: (text) => redactText(text, opaque, tokenize),
    };
    const changed: Mutable<AuditEvent> = {};
    note(changed, 'actor', event.actor, redactActor(event.actor, scope));
    note(changed, 'resource', event.resource, redactFields(event.resource, RESOURCE_FIELDS, scope));
    note(changed, 'source', event.source, redactFields(event.source, SOURCE_FIELDS, scope));
    note(
      changed,
      'correlation',
      event.correlation,
      redactFields(event.correlation, CORRELATION_FIELDS, scope),
    );
    note(
      changed,
      'metadata',
      event.metadata,
      redactMetadata(event.metadata, {
        redact: (text) => scope.redact(text, false),
        tokenize,
      }),
    );
    if (event.changes !== undefined) {
      note(changed, 'changes', event.changes, redactNames(event.changes, scope));
    }
    if (event.origin !== undefined) {
      note(changed, 'origin', event.origin, redactOrigin(event.origin, scope));
    }
    for (const _ in changed) return { ...event, ...changed };
    return event;
  }

  return {
    keyId: tokenizer.keyId,
    redactEvent,
    readPlain: createPlainEventReader({ classifyKey, suspicion, keepsEmails }),
    writePlain: createPlainEventWriter({ classifyKey, suspicion, keepsEmails }),
  };
}

const CHANGE_LENGTH_MAX = 256;

type Mutable<T> = { -readonly [Name in keyof T]?: T[Name] };

function note<T, Name extends keyof T>(
  changed: Mutable<T>,
  name: Name,
  before: T[Name],
  after: T[Name],
): void {
  if (after !== before) changed[name] = after;
}

/** A field of free text: its longest length in the schema, whether e-mail addresses stay. */
interface FieldRule {
  readonly name: string;
  readonly lengthMax: number;
  readonly keepEmails: boolean;
  readonly isOpaque?: true;
  /** Written when the value has to go and a marker would break the field's form. */
  readonly replaceBy?: null;
}

const PRINCIPAL_FIELDS: readonly FieldRule[] = [
  { name: 'id', lengthMax: 512, keepEmails: true },
  { name: 'name', lengthMax: 512, keepEmails: true },
  { name: 'session_id', lengthMax: 512, keepEmails: false, isOpaque: true },
];
const RESOURCE_FIELDS: readonly FieldRule[] = [
  { name: 'type', lengthMax: 128, keepEmails: true },
  { name: 'id', lengthMax: 1024, keepEmails: true },
  { name: 'name', lengthMax: 1024, keepEmails: true },
];
const SOURCE_FIELDS: readonly FieldRule[] = [
  { name: 'ip', lengthMax: 45, keepEmails: true, replaceBy: null },
  { name: 'user_agent', lengthMax: 2048, keepEmails: false },
  { name: 'service', lengthMax: 256, keepEmails: false },
  { name: 'service_version', lengthMax: 128, keepEmails: false },
];
const CORRELATION_FIELDS: readonly FieldRule[] = [
  { name: 'request_id', lengthMax: 256, keepEmails: false, isOpaque: true },
  { name: 'workflow_id', lengthMax: 256, keepEmails: false, isOpaque: true },
];
const ORIGIN_FIELDS: readonly FieldRule[] = [
  { name: 'record_id', lengthMax: 256, keepEmails: false },
  { name: 'outcome', lengthMax: 64, keepEmails: false },
  { name: 'sequence_number', lengthMax: 32, keepEmails: false },
  { name: 'previous_hash', lengthMax: 256, keepEmails: false },
  { name: 'stream_id', lengthMax: 256, keepEmails: false },
];
const INTEGRITY_FIELDS: readonly FieldRule[] = [
  { name: 'value', lengthMax: 4096, keepEmails: false },
  { name: 'signer', lengthMax: 64, keepEmails: false },
];

function redactFields<T extends object>(
  object: T,
  rules: readonly FieldRule[],
  scope: TextScope,
): T {
  let changed: Record<string, string | null> | null = null;
  for (const rule of rules) {
    const value: unknown = Reflect.get(object, rule.name);
    if (typeof value !== 'string') continue;
    const found = rule.isOpaque ? scope.redactId(value) : scope.redact(value, rule.keepEmails);
    if (found === null) continue;
    changed ??= {};
    changed[rule.name] = rule.replaceBy === null ? null : fit(found.text, rule.lengthMax);
  }
  return changed === null ? object : { ...object, ...changed };
}

/** A token may be longer than what it stands for; the event must stay within its schema. */
function fit(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : marker('overlong');
}

function redactActor(actor: AuditEvent['actor'], scope: TextScope): AuditEvent['actor'] {
  const own = redactFields(actor, PRINCIPAL_FIELDS, scope);
  const behalf: Principal | null =
    actor.on_behalf_of === null ? null : redactFields(actor.on_behalf_of, PRINCIPAL_FIELDS, scope);
  const roles = actor.roles === undefined ? undefined : redactList(actor.roles, 128, scope);
  if (own === actor && behalf === actor.on_behalf_of && roles === actor.roles) return actor;
  return { ...own, on_behalf_of: behalf, ...(roles === undefined ? {} : { roles }) };
}

function redactOrigin(
  origin: NonNullable<AuditEvent['origin']>,
  scope: TextScope,
): NonNullable<AuditEvent['origin']> {
  const own = redactFields(origin, ORIGIN_FIELDS, scope);
  if (origin.integrity === undefined) return own;
  const integrity = redactFields(origin.integrity, INTEGRITY_FIELDS, scope);
  return integrity === origin.integrity ? own : { ...own, integrity };
}

/** What is no name of a field is a value that came along: access is captured, not content. */
function redactNames(names: readonly string[], scope: TextScope): readonly string[] {
  const redacted = redactList(names, CHANGE_LENGTH_MAX, scope);
  return redacted.every(isFieldName)
    ? redacted
    : redacted.map((name) => (isFieldName(name) ? name : marker('free_text')));
}

function redactList(
  list: readonly string[],
  lengthMax: number,
  scope: TextScope,
): readonly string[] {
  let changed: string[] | null = null;
  for (let index = 0; index < list.length; index++) {
    const value = list[index];
    const found = typeof value === 'string' ? scope.redact(value, false) : null;
    if (found === null) continue;
    changed ??= [...list];
    changed[index] = fit(found.text, lengthMax);
  }
  return changed ?? list;
}
