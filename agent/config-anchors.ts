/** `anchors` of the configuration: its form, its defaults, and what the schema cannot say of it. */
import { sep } from 'node:path';
import { KEY_TYPE, keyTextOf, parseVkey } from '../ledger/signing.ts';
import type {
  AnchorsConfig,
  FileAnchorConfig,
  ObjectAnchorConfig,
  PostgresqlAnchorConfig,
  TimestampAnchorConfig,
  WitnessAnchorConfig,
} from '../schemas/anchor-config.ts';
import type { Config } from '../schemas/config.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { RETENTION_CLASSES_DEFAULT, S3_DEFAULTS } from './config-defaults.ts';
import { pointerTo, type FieldFault } from './config-source.ts';
import { isLoopback } from './endpoint.ts';

type TlsForm<T> = Omit<T, 'tls'> & { readonly tls?: Partial<TlsClientConfig> };

type ObjectForm = Pick<ObjectAnchorConfig, 'name' | 'bucket'> & Partial<ObjectAnchorConfig>;

/** The section of the file, after config.schema.json has passed it. */
export interface AnchorsForm {
  readonly quorum?: number;
  readonly timeout_ms?: number;
  readonly start_timeout_ms?: number;
  readonly retry?: Partial<AnchorsConfig['retry']> | null;
  readonly witness?: readonly TlsForm<WitnessAnchorConfig>[];
  readonly timestamp?: readonly TlsForm<TimestampAnchorConfig>[];
  readonly postgresql?: readonly TlsForm<PostgresqlAnchorConfig>[];
  readonly file?: readonly FileAnchorConfig[];
  readonly object?: readonly TlsForm<ObjectForm>[];
}

const { prefix, region, path_style, lock_mode, multipart_bytes } = S3_DEFAULTS;
const OBJECT_DEFAULTS = {
  prefix,
  region,
  path_style,
  lock_mode,
  multipart_bytes,
  /** As long as the longest class that there is by default. */
  retain_days: Math.max(...Object.values(RETENTION_CLASSES_DEFAULT).map(({ days }) => days)),
} as const;

export const ANCHORS_DEFAULTS = {
  quorum: 1,
  timeout_ms: 10_000,
  start_timeout_ms: 5_000,
  retry: { initial_ms: 1_000, max_ms: 30_000 },
} as const;

type MakeTls = (
  tls: Partial<TlsClientConfig> | undefined,
  inData: (path: string) => string,
) => { readonly tls?: TlsClientConfig };

/** Fills in defaults; without an anchor there is no quorum to wait for. */
export function completeAnchors(
  form: AnchorsForm | null | undefined,
  inData: (path: string) => string,
  clientTls: MakeTls,
): AnchorsConfig {
  const { retry, witness = [], timestamp = [], postgresql = [], ...others } = form ?? {};
  const { file = [], object = [], ...given } = others;
  const withTls = <T extends { readonly tls?: Partial<TlsClientConfig> }>({ tls, ...rest }: T) => ({
    ...rest,
    ...clientTls(tls, inData),
  });
  const anchors = {
    witness: witness.map(withTls),
    timestamp: timestamp.map((each) => ({ ...withTls(each), ca_file: inData(each.ca_file) })),
    postgresql: postgresql.map(withTls),
    file: file.map((each) => ({ ...each, path: inData(each.path) })),
    object: object.map((each) => ({ ...OBJECT_DEFAULTS, ...withTls(each) })),
  };
  const isNone = Object.values(anchors).every(({ length }) => length === 0);
  return {
    ...ANCHORS_DEFAULTS,
    ...given,
    ...(isNone && given.quorum === undefined && { quorum: 0 }),
    retry: { ...ANCHORS_DEFAULTS.retry, ...retry },
    ...anchors,
  };
}

const KINDS = ['witness', 'timestamp', 'postgresql', 'file', 'object'] as const;

/** A quorum that can be reached, anchors that are different ones, and answers that nobody changes on their way. */
export function checkAnchors({ config }: { readonly config: Config }): readonly FieldFault[] {
  const { anchors, checkpoints, data_dir } = config;
  const faults: FieldFault[] = [];
  const fault = (field: string, message: string): void => void faults.push({ field, message });
  const all = KINDS.flatMap((kind) =>
    anchors[kind].map(({ name }, at) => ({ name, field: pointerTo(`/anchors/${kind}`, at) })),
  );
  if (anchors.quorum > all.length)
    fault(
      '/anchors/quorum',
      `is ${anchors.quorum}, and there are ${all.length} anchors; lower it or add some`,
    );
  if (all.length > 0 && !checkpoints.enabled)
    fault('/anchors', 'are for checkpoints, which checkpoints.enabled switches off');
  for (const { name, field } of repeated(all, ({ name: one }) => one))
    fault(`${field}/name`, `"${name}" is the name of another anchor as well`);
  for (const [at, { url, vkey }] of anchors.witness.entries()) {
    const field = pointerTo('/anchors/witness', at);
    const key = parseVkey(vkey);
    if (!key.ok) fault(`${field}/vkey`, key.error);
    else if (key.value.type !== KEY_TYPE.witness)
      fault(`${field}/vkey`, 'is no key of a witness; `sealtrail witness` prints its own');
    checkUrl(url, `${field}/url`, true);
  }
  // One key is one witness, whatever it is called.
  const keyed = anchors.witness.map(({ vkey }, at) => ({ key: keyTextOf(vkey), at }));
  for (const { at } of repeated(keyed, ({ key }) => key))
    fault(
      `${pointerTo('/anchors/witness', at)}/vkey`,
      'is the key of another one as well; a witness counts once',
    );
  for (const [at, { url }] of anchors.timestamp.entries())
    checkUrl(url, `${pointerTo('/anchors/timestamp', at)}/url`, false);
  for (const [at, { endpoint }] of anchors.object.entries())
    if (endpoint !== undefined)
      checkUrl(endpoint, `${pointerTo('/anchors/object', at)}/endpoint`, true);
  for (const [kind, where] of [
    ['timestamp', 'url'],
    ['postgresql', 'url'],
    ['file', 'path'],
  ] as const) {
    const places = anchors[kind].map((one, at) => ({
      at,
      place: 'path' in one ? one.path : one.url,
    }));
    for (const { at } of repeated(places, ({ place }) => place))
      fault(
        `${pointerTo(`/anchors/${kind}`, at)}/${where}`,
        'is that of another anchor as well; one place counts once',
      );
  }
  for (const [at, { path }] of anchors.file.entries())
    if (path.startsWith(data_dir + sep))
      fault(
        `${pointerTo('/anchors/file', at)}/path`,
        'lies in data_dir, and would be put back together with it; choose another mount',
      );
  return faults;

  function checkUrl(text: string, field: string, isSecret: boolean): void {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url === null || !['http:', 'https:'].includes(url.protocol))
      fault(field, 'must be an http(s) URL');
    else if (isSecret && url.protocol === 'http:' && !isLoopback(url.hostname))
      fault(
        field,
        'is plain HTTP beyond loopback, and who changes an answer on its way makes the agent leave its log; use https',
      );
  }
}

/** Those that are not the first with their key. */
function repeated<T>(all: readonly T[], keyOf: (one: T) => string): readonly T[] {
  return all.filter((one, at) => all.findIndex((other) => keyOf(other) === keyOf(one)) < at);
}
