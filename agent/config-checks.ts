/**
 * What config.schema.json cannot say of a configuration: the pipeline, retention, listeners,
 * sizes. Pure. Tenants and exporters have files of their own beside this one.
 */
import { join, sep } from 'node:path';
import { AGENT_ACTIONS } from '../schemas/agent-actions.ts';
import type { Config } from '../schemas/config.ts';
import { regimeOf } from '../schemas/regimes.ts';
import { suggest } from '../schemas/suggest.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import type { ConfigForm } from './config-form.ts';
import { pointerTo, type FieldFault } from './config-source.ts';
import { isLoopback, parseEndpoint } from './endpoint.ts';
import { checkEndpoint } from './receive/otlp-gate.ts';
import { createTrust } from './receive/otlp-integrity.ts';

/** What the checks look at. */
export interface CheckContext {
  readonly form: ConfigForm;
  readonly config: Config;
  /** null: it could not be read, which is a fault of its own. */
  readonly vocabulary: Vocabulary | null;
  /** A string as the file has it: a reference, and never what the reference yields. */
  shown(pointer: string, value: string): string;
}

/** Longest path of a unix socket on Linux: 108 bytes with the closing zero. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Text to append to a message about a name that is not known. */
export function didYouMean(name: string, known: readonly string[]): string {
  const close = suggest(name, known);
  return close === null ? '' : `; did you mean "${close}"?`;
}

/** What is defined and what the pipeline names are the same: nothing idle, nothing missing. */
export function checkPipeline({ form, shown }: CheckContext): readonly FieldFault[] {
  const lists = form.service?.pipelines?.audit ?? {};
  return (['receivers', 'processors', 'exporters'] as const).flatMap((kind) => {
    const named = lists[kind];
    if (named === undefined) return [];
    const at = `/service/pipelines/audit/${kind}`;
    const defined = kind === 'processors' ? ['redaction'] : Object.keys(form[kind]);
    const missing = named
      .map((name, index) => ({ name, field: pointerTo(at, index) }))
      .filter(({ name }) => !defined.includes(name));
    const literal = missing.filter(({ name, field }) => shown(field, name) === name);
    const idle = defined.filter((name) => !named.includes(name));
    return [
      ...missing.map(({ name, field }) => {
        const what = `"${shown(field, name)}" is not defined below ${kind}`;
        return { field, message: `${what}${didYouMean(name, defined)}` };
      }),
      ...idle.map((name) =>
        describeIdle(
          kind,
          name,
          suggest(
            name,
            literal.map((one) => one.name),
          ),
        ),
      ),
    ];
  });
}

function describeIdle(
  kind: 'receivers' | 'processors' | 'exporters',
  name: string,
  meant: string | null,
): FieldFault {
  const list = `service.pipelines.audit.${kind}`;
  if (kind === 'processors') {
    const message = 'redaction is left out, and nothing may reach the disk unredacted; add it';
    return { field: '/service/pipelines/audit/processors', message };
  }
  const remedy =
    meant === null ? `add it to ${list}, or remove it here` : `${list} has "${meant}" instead`;
  const message = `"${name}" is in no pipeline, so no event would pass it; ${remedy}`;
  return { field: pointerTo(`/${kind}`, name), onKey: true, message };
}

/** Every class that an action is kept by has a length. */
export function checkRetention({ config, vocabulary }: CheckContext): readonly FieldFault[] {
  const { classes } = config.retention;
  const actions = [...(vocabulary?.actions.values() ?? []), ...AGENT_ACTIONS.values()];
  const firstUse = new Map<string, string>();
  for (const { action, retention_class } of actions) {
    if (!firstUse.has(retention_class)) firstUse.set(retention_class, action);
  }
  const idle = Object.keys(classes).filter((name) => !firstUse.has(name));
  const missing = [...firstUse]
    .filter(([name]) => !Object.hasOwn(classes, name))
    .map(([name, action]) => {
      const what = `the class "${name}", which keeps ${action}, is not defined`;
      const meant = suggest(name, idle);
      if (meant === null) {
        const message = `${what}; add it with regime and days, or change the vocabulary`;
        return { field: '/retention/classes', onKey: true, message };
      }
      const field = pointerTo('/retention/classes', meant);
      return { field, onKey: true, message: `${what}; is it meant by "${meant}"?` };
    });
  return [...missing, ...checkRegimes(config), ...checkLocalDays(config)];
}

/** A ledger is cut short only where the store of record says what is held, and checkpoints prove what went. */
function checkLocalDays({ retention, exporters, checkpoints }: Config): readonly FieldFault[] {
  if (retention.local_days === undefined) return [];
  const hasStore = exporters.some(({ type }) => type === 'postgresql');
  const needed = hasStore ? 'checkpoints.enabled' : 'an exporter of type postgresql';
  if (hasStore && checkpoints.enabled) return [];
  return [{ field: '/retention/local_days', message: `without ${needed} no segment would leave` }];
}

/** A class that names a rule is kept as long as the rule asks for. */
function checkRegimes({ retention }: Config): readonly FieldFault[] {
  return Object.entries(retention.classes).flatMap(([name, { regime, days }]) => {
    const rule = regimeOf(regime);
    if (rule === undefined || days >= rule.days) return [];
    const field = pointerTo(pointerTo('/retention/classes', name), 'days');
    const message = `${rule.name} asks for ${rule.days} days at least (${rule.source})`;
    return [{ field, message }];
  });
}

/** Endpoints that can be listened on, apart from one another, and safe where they are reached. */
export function checkListeners({ config, shown }: CheckContext): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  const { otlp } = config.receivers;
  const taken = new Map<number, string>();
  const take = (port: number, field: string, name: string): void => {
    const other = taken.get(port);
    if (port !== 0 && other !== undefined)
      faults.push({ field, message: `is the port of ${other} as well; choose another one` });
    taken.set(port, name);
  };
  if (otlp !== undefined) {
    const field = '/receivers/otlp/endpoint';
    const checked = checkEndpoint(otlp);
    if (checked.ok) take(checked.value.port, field, 'receivers.otlp');
    else {
      const message = checked.error.message.replace(otlp.endpoint, shown(field, otlp.endpoint));
      faults.push({ field, message });
    }
  }
  const field = '/service/telemetry/admin_endpoint';
  const admin = parseEndpoint(config.service.telemetry.admin_endpoint);
  if (admin === null) faults.push({ field, message: 'must be host:port, such as 127.0.0.1:9464' });
  else if (!isLoopback(admin.host)) {
    const message =
      'is reachable from other hosts, and nobody is asked who he is there; use 127.0.0.1, with a proxy or a scraper on this host';
    faults.push({ field, message });
  } else take(admin.port, field, 'service.telemetry.admin_endpoint');
  for (const exporter of config.exporters) {
    if (exporter.type === 'postgresql' && exporter.embedded)
      take(exporter.port, `${pointerTo('/exporters', exporter.name)}/port`, exporter.name);
  }
  return faults;
}

/** Keys of producers that are keys, each by a name of its own. */
export function checkTrustedKeys({ config }: CheckContext): readonly FieldFault[] {
  const trust = createTrust(config.receivers.otlp?.trusted_keys ?? []);
  if (trust.ok) return [];
  const { index, message } = trust.error;
  return [{ field: `/receivers/otlp/trusted_keys/${index}/pem`, message }];
}

/** Paths that a unix socket can have, and a ledger whose parts fit into one another. */
export function checkSizes({ form, config }: CheckContext): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  const checkSocket = (path: string, field: string, remedy: string): void => {
    const bytes = Buffer.byteLength(path);
    if (bytes <= SOCKET_PATH_BYTES_MAX) return;
    const what = `makes a socket path of ${bytes} bytes, and the system takes ${SOCKET_PATH_BYTES_MAX}`;
    faults.push({ field, message: `${what}; ${remedy}` });
  };
  const { socket } = config.receivers;
  const isGiven = form.receivers.socket?.path !== undefined;
  if (socket !== undefined && isGiven) {
    const remedy = 'give an absolute path such as /run/sealtrail.sock';
    checkSocket(socket.path, '/receivers/socket/path', remedy);
  }
  // By default the two sockets lie side by side, and the one of the agent has the longer name.
  const inDataDir = isGiven ? undefined : socket?.path;
  const longest = inDataDir ?? join(config.data_dir, 'admin.sock');
  checkSocket(longest, '/data_dir', 'choose a shorter data_dir');
  const { batch_bytes_max, segment_bytes } = config.ledger;
  if (batch_bytes_max > segment_bytes) {
    const message = `is more than ledger.segment_bytes (${segment_bytes}); a segment holds whole batches, so lower it or raise the other`;
    faults.push({ field: '/ledger/batch_bytes_max', message });
  }
  return [...faults, ...checkLedgerBounds(config)];
}

/** A quota that a batch fits into, and a head file that is not put back together with the ledger. */
function checkLedgerBounds({ data_dir, ledger }: Config): readonly FieldFault[] {
  const faults: FieldFault[] = [];
  const { quota, head_file, batch_bytes_max, reserve_bytes } = ledger;
  // A share is one of a file system whose size only the start knows.
  const isShare = typeof quota === 'string' && quota.endsWith('%');
  const least = 2 * batch_bytes_max + reserve_bytes;
  if (quota !== undefined && !isShare && Number(quota) < least) {
    const message = `must be at least ${least}: the reserve and two batches (ledger.reserve_bytes, ledger.batch_bytes_max)`;
    faults.push({ field: '/ledger/quota', message });
  }
  if (head_file?.startsWith(data_dir + sep) === true) {
    const message =
      'lies in data_dir, and would be put back together with it; choose a path outside';
    faults.push({ field: '/ledger/head_file', message });
  }
  return faults;
}
