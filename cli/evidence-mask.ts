/** A configuration that others may read: what is secret by its name, or came out of a reference, is masked. Pure. */
import type { Config } from '../schemas/config.ts';

export const MASK = '(masked)';

/** Members whose values are secrets, in any section. */
const SECRET_NAME =
  /password|passphrase|token|secret|api_key|access_key|credential|seed|authorization|cookie/i;
const REFERENCE = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)/g;
const USERINFO = /^([a-z][a-z0-9+.-]*:\/\/)[^@/?#]+@/i;

/** `source`: the file as it is written, which names the references; what they yield is hidden wherever it stands. */
export function maskSecrets(config: Config, source: string, env: NodeJS.ProcessEnv): unknown {
  const referred = [...source.matchAll(REFERENCE)].map(([, name = '']) => env[name] ?? '');
  const hidden = new Set(referred.filter((value) => value !== ''));
  return mask(config, '', hidden);
}

function mask(value: unknown, name: string, hidden: ReadonlySet<string>): unknown {
  if (typeof value === 'string') {
    if (SECRET_NAME.test(name) || hidden.has(value)) return MASK;
    // A user's name is hidden with the password: some services take a token there.
    return value
      .replace(USERINFO, `$1${MASK}@`)
      .replace(/([?&](?:password|token)=)[^&]*/gi, `$1${MASK}`);
  }
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map((one) => mask(one, name, hidden));
  if (value instanceof Map) return mask(Object.fromEntries(value), name, hidden);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      mask(one, key === 'value' ? name || key : key, hidden),
    ]),
  );
}
