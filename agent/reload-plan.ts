/**
 * What of a changed configuration a running agent can take up, decided before anything is done. Pure.
 * A section that is not named here needs a restart: whoever adds one has to say that it is safe.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../schemas/config.ts';
import type { ExporterConfig } from '../schemas/exporter-config.ts';

export interface ReloadPlan {
  /** What is in force afterwards: the old one, with the sections that can be applied. */
  readonly config: Config;
  /** Names of changed sections, never values. */
  readonly applied: readonly string[];
  readonly needs_restart: readonly string[];
}

/** Sections that hold others, by which those are named. */
const NESTED: ReadonlySet<string> = new Set(['receivers', 'processors', 'service']);
/** Where every path and every name comes from: with one of them changed nothing is applied. */
const IDENTITY = /^(data_dir|agent\.name|keys\..+)$/;
const APPLICABLE: ReadonlySet<string> = new Set([
  'agent.vocabulary_file',
  'tenants',
  'processors.redaction.sensitive_keys',
  'processors.redaction.keep_emails',
  'service.telemetry.log_level',
]);
/** Of a receiver all changes are applied or none: its tokens belong to the place it listens on. */
const RECEIVER_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  'receivers.socket': ['tenants'],
  'receivers.otlp': ['tenants', 'default_tenant', 'bearer_tokens', 'trusted_keys'],
};

/** Plans the way from the configuration in force to the one that was read. */
export function planReload(
  before: Config,
  wanted: Config,
  isVocabularyChanged: boolean,
): ReloadPlan {
  const changed = changedSections(before, wanted);
  const isOther = changed.some((name) => IDENTITY.test(name));
  const blocked = blockedReceivers(changed);
  const canApply = (name: string): boolean => {
    if (isOther) return false;
    if (name.startsWith('exporters.')) return canChangeExporter(before, wanted, name);
    const receiver = receiverOf(name);
    return receiver === null ? APPLICABLE.has(name) : !blocked.has(receiver);
  };
  const applied = changed.filter(canApply);
  const words = isVocabularyChanged ? ['vocabulary'] : [];
  return {
    config: isOther ? before : mergeConfig(before, wanted, new Set(applied)),
    applied: isOther ? [] : [...applied, ...words],
    needs_restart: [...changed.filter((name) => !canApply(name)), ...(isOther ? words : [])],
  };
}

/** `tenants`, `ledger.segment_bytes`, `receivers.otlp.endpoint`, `exporters.file/ecs`: what differs. */
function changedSections(before: Config, wanted: Config): readonly string[] {
  const [one, other] = [sectionsOf(before), sectionsOf(wanted)];
  return [...new Set([...one.keys(), ...other.keys()])].filter(
    (name) => !isDeepStrictEqual(one.get(name), other.get(name)),
  );
}

function sectionsOf(config: Config): ReadonlyMap<string, unknown> {
  const sections = new Map<string, unknown>();
  const add = (name: string, value: unknown, depth: number): void => {
    if (depth === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) {
      if (value !== undefined) sections.set(name, value);
      return;
    }
    for (const [member, inner] of Object.entries(value)) add(`${name}.${member}`, inner, depth - 1);
  };
  for (const [name, value] of Object.entries(config)) {
    if (name !== 'exporters') add(name, value, NESTED.has(name) ? 2 : 1);
  }
  for (const exporter of config.exporters) sections.set(`exporters.${exporter.name}`, exporter);
  return sections;
}

function receiverOf(name: string): string | null {
  return /^receivers\.[^.]+/.exec(name)?.[0] ?? null;
}

function blockedReceivers(changed: readonly string[]): ReadonlySet<string> {
  const blocked = new Set<string>();
  for (const name of changed) {
    const receiver = receiverOf(name);
    if (receiver === null) continue;
    const member = name.slice(receiver.length + 1);
    if (!(RECEIVER_MEMBERS[receiver] ?? []).includes(member)) blocked.add(receiver);
  }
  return blocked;
}

/** The embedded server is the agent's own: it comes and goes with it, and so does its port. */
function canChangeExporter(before: Config, wanted: Config, section: string): boolean {
  const server = ({ exporters }: Config): number | null => {
    const found = exporters.find(({ name }) => `exporters.${name}` === section);
    return found?.type === 'postgresql' && found.embedded ? found.port : null;
  };
  return server(before) === server(wanted);
}

function mergeConfig(before: Config, wanted: Config, applied: ReadonlySet<string>): Config {
  const pick = <T>(name: string, select: (config: Config) => T): T =>
    select(applied.has(name) ? wanted : before);
  const pickReceiver = <T>(name: string, select: (config: Config) => T): T =>
    select([...applied].some((one) => receiverOf(one) === name) ? wanted : before);
  const socket = pickReceiver('receivers.socket', ({ receivers }) => receivers.socket);
  const otlp = pickReceiver('receivers.otlp', ({ receivers }) => receivers.otlp);
  return {
    ...before,
    agent: {
      ...before.agent,
      vocabulary_file: pick('agent.vocabulary_file', ({ agent }) => agent.vocabulary_file),
    },
    tenants: pick('tenants', ({ tenants }) => tenants),
    receivers: { ...before.receivers, ...(socket && { socket }), ...(otlp && { otlp }) },
    processors: {
      ...before.processors,
      redaction: {
        ...before.processors.redaction,
        sensitive_keys: pick(
          'processors.redaction.sensitive_keys',
          ({ processors }) => processors.redaction.sensitive_keys,
        ),
        keep_emails: pick(
          'processors.redaction.keep_emails',
          ({ processors }) => processors.redaction.keep_emails,
        ),
      },
    },
    exporters: mergeExporters(before.exporters, wanted.exporters, applied),
    service: {
      ...before.service,
      telemetry: {
        ...before.service.telemetry,
        log_level: pick(
          'service.telemetry.log_level',
          ({ service }) => service.telemetry.log_level,
        ),
      },
    },
  };
}

function mergeExporters(
  before: readonly ExporterConfig[],
  wanted: readonly ExporterConfig[],
  applied: ReadonlySet<string>,
): readonly ExporterConfig[] {
  const isApplied = ({ name }: ExporterConfig): boolean => applied.has(`exporters.${name}`);
  const stays = before.filter(
    (one) => !isApplied(one) || wanted.some(({ name }) => name === one.name),
  );
  const changed = stays.map(
    (one) => (isApplied(one) && wanted.find(({ name }) => name === one.name)) || one,
  );
  const added = wanted.filter(
    (one) => isApplied(one) && !before.some(({ name }) => name === one.name),
  );
  return [...changed, ...added];
}
