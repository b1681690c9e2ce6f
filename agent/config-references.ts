/**
 * References in a configuration: `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in any
 * string, for secrets and for what differs between hosts. They are replaced in the parsed value,
 * once: what they yield is text, never YAML, and never a reference again. `$${` stands for `${`.
 */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { codeOf } from '../schemas/result.ts';
import { pointerTo, type FieldFault } from './config-source.ts';

/** Where references look. */
export interface ReferenceOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Folder of the configuration file: a relative `${file:PATH}` starts here. */
  readonly dir: string;
}

/** A value whose references are replaced. */
export interface Resolved {
  readonly value: unknown;
  readonly faults: readonly FieldFault[];
  /** Pointers to strings that hold a reference, with their text in the file: all that may be shown. */
  readonly texts: ReadonlyMap<string, string>;
  /** Those of them that are one reference and nothing else. */
  readonly whole: ReadonlySet<string>;
}

/** A secret is a line, or a certificate at most. */
const FILE_BYTES_MAX = 64 * 1024;
const REFERENCE = /\$\$\{|\$\{(?:([^{}]*)\})?/g;
const WHOLE = /^\$\{[^{}]*\}$/;
const BODY = /^(?:env:(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?<fallback>.*))?|file:(?<path>.+))$/s;

/** Replaces every reference in a copy of the value; lists those that cannot be. */
export function resolveReferences(value: unknown, options: ReferenceOptions): Resolved {
  const faults: FieldFault[] = [];
  const texts = new Map<string, string>();
  const whole = new Set<string>();

  function walk(node: unknown, at: string): unknown {
    if (typeof node === 'string') return node.includes('${') ? replaceAll(node, at) : node;
    if (Array.isArray(node)) return node.map((item, index) => walk(item, pointerTo(at, index)));
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(
      Object.entries(node).map(([name, member]) => [name, walk(member, pointerTo(at, name))]),
    );
  }

  function replaceAll(text: string, at: string): string {
    texts.set(at, text);
    if (WHOLE.test(text)) whole.add(at);
    return text.replace(REFERENCE, (reference, body: string | undefined) => {
      if (reference === '$${') return '${';
      const found = lookUp(body ?? '', options);
      if ('text' in found) return found.text;
      faults.push({ field: at, message: found.fault });
      return '';
    });
  }

  return { value: walk(value, ''), faults, texts, whole };
}

type LookedUp = { readonly text: string } | { readonly fault: string };

/** The body is not quoted: a password may happen to look like a reference gone wrong. */
function lookUp(body: string, { env, dir }: ReferenceOptions): LookedUp {
  const groups = BODY.exec(body)?.groups;
  if (groups === undefined) {
    return {
      fault:
        'has a "${" that begins no reference; write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}, or $${ for a literal ${',
    };
  }
  const { name, fallback, path } = groups;
  return name === undefined ? readSecret(path ?? '', dir) : readVariable(name, fallback, env);
}

/** As in a shell, an empty variable counts as unset. */
function readVariable(
  name: string,
  fallback: string | undefined,
  env: NodeJS.ProcessEnv,
): LookedUp {
  const text = env[name] || fallback;
  if (text !== undefined) return { text };
  const state = env[name] === undefined ? 'not set' : 'empty';
  return {
    fault: `the environment variable ${name} is ${state}; set it, or give a default: \${env:${name}:-…}`,
  };
}

/** The content without its last line break. */
function readSecret(path: string, dir: string): LookedUp {
  try {
    const file = resolve(dir, path);
    const found = statSync(file);
    // A device or a pipe may never end.
    if (!found.isFile() || found.size > FILE_BYTES_MAX) {
      return {
        fault: `the file ${path} is no file of up to ${FILE_BYTES_MAX} bytes; name a secret`,
      };
    }
    const text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    return text === '' ? { fault: `the file ${path} is empty; put the secret into it` } : { text };
  } catch (error) {
    const fault = `the file ${path} cannot be read (${codeOf(error)}); create it, readable for the agent`;
    return { fault };
  }
}
