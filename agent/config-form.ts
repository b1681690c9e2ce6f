/**
 * The form of the configuration file: what config.schema.json allows, as a type, and the schema's
 * errors as faults with a remedy. A message names keys and what is allowed, never a value.
 */
import type { KeysForm } from './config-keys.ts';
import type { S3ExporterConfig } from '../schemas/archive-config.ts';
import type { Config, OtlpReceiverConfig, SocketReceiverConfig } from '../schemas/config.ts';
import type {
  ElasticsearchExporterConfig,
  FileExporterConfig,
  OtlpExporterConfig,
  KafkaExporterConfig,
  NatsExporterConfig,
  PostgresqlExporterConfig,
  RetryConfig,
  SplunkExporterConfig,
  SyslogExporterConfig,
  TlsClientConfig,
  WebhookExporterConfig,
} from '../schemas/exporter-config.ts';
import { validate, type ValidationError } from '../schemas/generated/config.js';
import { err, ok, type Result } from '../schemas/result.ts';
import { suggest } from '../schemas/suggest.ts';
import type { AnchorsForm } from './config-anchors.ts';
import type { Resolved } from './config-references.ts';
import { pointerTo, type FieldFault } from './config-source.ts';

type Section<T> = Partial<T> | null;
type With<T, K extends keyof T> = Partial<T> & Pick<T, K>;
type Exporter<T, K extends keyof T = never> = Omit<
  With<T, K>,
  'name' | 'type' | 'retry' | 'tls'
> & {
  readonly retry?: Section<RetryConfig>;
  readonly tls?: Partial<TlsClientConfig>;
};

export type PostgresqlForm = Exporter<PostgresqlExporterConfig>;
export type FileForm = Exporter<FileExporterConfig, 'path' | 'format'>;
export type ElasticsearchForm = Exporter<ElasticsearchExporterConfig, 'endpoints'>;
export type SplunkForm = Exporter<SplunkExporterConfig, 'endpoints' | 'token'>;
export type OtlpForm = Exporter<OtlpExporterConfig, 'endpoints'>;
export type WebhookForm = Exporter<WebhookExporterConfig, 'endpoints' | 'secret'>;
export type SyslogForm = Exporter<SyslogExporterConfig, 'endpoint'>;
export type KafkaForm = Exporter<KafkaExporterConfig, 'brokers'>;
export type NatsForm = Exporter<NatsExporterConfig, 'servers'>;
export type S3Form = Omit<Exporter<S3ExporterConfig, 'bucket'>, 'retain_days'>;

/** Of one exporter, whatever its type; null where everything is a default. */
export type ExporterForm =
  | PostgresqlForm
  | FileForm
  | ElasticsearchForm
  | SplunkForm
  | OtlpForm
  | WebhookForm
  | SyslogForm
  | KafkaForm
  | NatsForm
  | S3Form
  | null;

/** The one pipeline; a list left out means everything that is defined. */
export interface PipelineForm {
  readonly receivers?: readonly string[];
  readonly processors?: readonly string[];
  readonly exporters?: readonly string[];
}

/** The file, references replaced, after config.schema.json has passed it. */
export interface ConfigForm {
  readonly data_dir?: string;
  readonly agent?: Section<Config['agent']>;
  readonly receivers: {
    readonly socket?: With<SocketReceiverConfig, 'tenants'>;
    readonly otlp?: With<OtlpReceiverConfig, 'tenants'>;
  };
  readonly processors?: Section<{
    readonly redaction: Section<Config['processors']['redaction']>;
  }>;
  /** Named type or type/name; the type says which form. */
  readonly exporters: {
    readonly [name: string]: ExporterForm;
  };
  readonly ledger?: Section<Config['ledger']>;
  readonly checkpoints?: Section<Config['checkpoints']>;
  readonly anchors?: AnchorsForm | null;
  readonly keys?: KeysForm | null;
  readonly tenants: Config['tenants'];
  readonly retention?: Section<Config['retention']>;
  readonly service?: Section<{
    readonly pipelines: Section<{ readonly audit: PipelineForm | null }>;
    readonly telemetry: Section<Config['service']['telemetry']>;
    readonly shutdown_timeout_ms: number;
  }>;
}

/** Checks the form; references as a whole take the type that their field asks for. */
export function checkForm(resolved: Resolved): Result<ConfigForm, readonly FieldFault[]> {
  const faults = findFormFaults(resolved, validate);
  return faults.length === 0 ? ok(resolved.value as ConfigForm) : err(faults);
}

/** What the validator of a file finds wrong with it, each with its remedy. */
export function findFormFaults(
  resolved: Resolved,
  validator: typeof validate,
): readonly FieldFault[] {
  const { value } = resolved;
  if (validator(value)) return [];
  // Their fields were not text: read them as what the schema wants, then ask again.
  const retyped = (validator.errors ?? []).filter((error) => retype(error, resolved));
  if (retyped.length > 0 && validator(value)) return [];
  return describeErrors(validator.errors ?? []);
}

/** Replaces the text that a reference yielded by the number or truth value that it spells. */
function retype({ instancePath, keyword, params }: ValidationError, resolved: Resolved): boolean {
  if (keyword !== 'type' || !resolved.whole.has(instancePath)) return false;
  const path = instancePath.split('/').slice(1);
  const name = path.pop() ?? '';
  const parent = path.reduce<unknown>(
    (node, key) => memberOf(node, key.replaceAll('~1', '/').replaceAll('~0', '~')),
    resolved.value,
  );
  const typed = readTyped(memberOf(parent, name), params['type']);
  if (typed === null || typeof parent !== 'object' || parent === null) return false;
  return Reflect.set(parent, name, typed);
}

function memberOf(node: unknown, name: string): unknown {
  return typeof node === 'object' && node !== null ? Reflect.get(node, name) : undefined;
}

function readTyped(text: unknown, type: unknown): number | boolean | null {
  if (typeof text !== 'string') return null;
  if (type === 'integer' && /^(0|-?[1-9][0-9]{0,14})$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return null;
}

function describeErrors(errors: readonly ValidationError[]): readonly FieldFault[] {
  const faults = errors.map(describe);
  // A required key that was mistyped is one fault, not two.
  const meant = new Set(faults.map(({ suggested }) => suggested));
  return faults.filter(({ field, isMissing }) => !(isMissing === true && meant.has(field)));
}

interface Described extends FieldFault {
  /** Pointer to the key that was probably meant. */
  readonly suggested?: string;
  readonly isMissing?: boolean;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  'integer,string': 'a whole number or text',
  'object,null': 'a section of keys',
  object: 'a section of keys; write {} for an empty one',
  string: 'text; put it in quotes',
};

function describe(error: ValidationError): Described {
  const { instancePath: field, keyword, params } = error;
  const message = (text: string): Described => ({ field, message: text });
  switch (keyword) {
    case 'additionalProperties':
      return describeUnknown(error, String(params['additionalProperty']));
    case 'required':
    case 'dependentRequired': {
      const name = String(params['missingProperty']);
      const missing = pointerTo(field, name);
      return { field: missing, message: `${name} is missing; add it`, isMissing: true };
    }
    case 'type':
      return message(`must be ${TYPE_NAMES[String(params['type'])] ?? String(params['type'])}`);
    case 'enum':
      return message(`must be one of ${listOf(params['allowedValues'])}`);
    case 'minimum':
    case 'maximum':
      return message(
        `must be ${keyword === 'minimum' ? 'at least' : 'at most'} ${params['limit']}`,
      );
    case 'uniqueItems':
      return message('names something twice; remove one of the two');
    case 'minItems':
    case 'minProperties':
      return message('is empty; it needs at least one');
    case 'minLength':
      return message('is empty; give it a value, or remove the key');
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return message(`is too long; at most ${params['limit']} are taken`);
    case 'pattern':
      return message(`has another form than it must: ${expectationOf(error)}`);
    case 'propertyNames':
      return message('has a key of another form than it must');
    default:
      return message(error.message ?? 'has a wrong form');
  }
}

function describeUnknown(error: ValidationError, name: string): Described {
  const known = knownKeys(error);
  const isNamed = error.parentSchema?.['patternProperties'] !== undefined;
  // Of type/name only the type is ours to know.
  const [type = '', ...rest] = isNamed ? name.split('/') : [name];
  const close = suggest(type, known);
  const meant = close === null ? null : [close, ...rest].join('/');
  const field = pointerTo(error.instancePath, name);
  if (meant === null || meant === name) {
    const allowed = isNamed ? expectationOf(error) : `known are ${known.join(', ')}`;
    return { field, onKey: true, message: `unknown key "${name}"; ${allowed}` };
  }
  const suggested = pointerTo(error.instancePath, meant);
  return {
    field,
    onKey: true,
    message: `unknown key "${name}"; did you mean "${meant}"?`,
    suggested,
  };
}

/** Keys that the schema names, and the fixed beginnings of those it describes by a pattern. */
function knownKeys({ parentSchema }: ValidationError): readonly string[] {
  const patterns = Object.keys(parentSchema?.['patternProperties'] ?? {});
  return [
    ...Object.keys(parentSchema?.['properties'] ?? {}),
    ...patterns.flatMap((pattern) => /^\^([a-z]+)/.exec(pattern)?.[1] ?? []),
  ];
}

function expectationOf({ parentSchema }: ValidationError): string {
  const description = parentSchema?.['description'];
  return typeof description === 'string' ? description.replace(/\.$/, '') : 'see the documentation';
}

function listOf(values: unknown): string {
  return Array.isArray(values) ? values.join(', ') : String(values);
}
