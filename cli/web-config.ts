/**
 * Configuration of the auditor's page: a file, and what the command line says instead. Read as the agent's is:
 * references, form, checks. What must not be is refused here: to be reached from elsewhere without TLS.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { clientTls } from '../agent/config-complete.ts';
import { parseSource, type ConfigFault, type FieldFault } from '../agent/config-source.ts';
import { findFormFaults } from '../agent/config-form.ts';
import { resolveReferences } from '../agent/config-references.ts';
import { isLoopback, parseEndpoint, type Endpoint } from '../agent/endpoint.ts';
import { isPasswordHash } from '../auditor/web/passwords.ts';
import type { PersonEntry, WebSettings } from '../auditor/web/ports.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { validate } from '../schemas/generated/web.js';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';

/** What the command line says. */
export interface WebFlags {
  readonly listen?: string;
  readonly store?: string;
  readonly dataDir?: string;
  readonly trust?: string;
  readonly certificateKey?: string;
  readonly operator?: readonly string[];
}

export interface WebConfig {
  readonly listen: Endpoint;
  readonly settings: WebSettings;
  /** Without user and password; null: the embedded store of the data directory. */
  readonly storeUrl: string | null;
  readonly storeTls: TlsClientConfig | null;
  /** Null: the one of the command line's default. */
  readonly dataDir: string | null;
  readonly trustFile: string | null;
  /** Null: the page's own. */
  readonly certificateKeyFile: string | null;
}

/** The file, after web.schema.json has passed it. */
interface WebForm {
  readonly listen?: string;
  readonly public_url?: string;
  readonly tls?: { readonly cert_file: string; readonly key_file: string };
  readonly trusted_proxies?: readonly string[];
  readonly data_dir?: string;
  readonly trust_file?: string;
  readonly certificate_key_file?: string;
  readonly store?: { readonly url: string; readonly tls?: Partial<TlsClientConfig> };
  readonly people?: {
    readonly [name: string]: { readonly login: string; readonly password_hash?: string };
  };
  readonly logins?: { readonly [name: string]: { readonly password: string } };
  readonly oidc?: {
    readonly issuer: string;
    readonly client_id: string;
    readonly client_secret: string;
    readonly claim?: string;
    readonly title?: string;
  };
  readonly operators?: readonly string[];
  readonly session?: { readonly idle_minutes?: number; readonly hours?: number } | null;
}

const LISTEN_DEFAULT = '127.0.0.1:8443';
const MINUTE_MS = 60_000;

/** Reads the file, if there is one, under what the flags say; lists every fault it can find. */
export async function loadWebConfig(
  path: string | null,
  flags: WebFlags,
  env: NodeJS.ProcessEnv,
): Promise<Result<WebConfig, readonly ConfigFault[]>> {
  let text = '{}';
  try {
    if (path !== null) text = await readFile(path, 'utf8');
  } catch (error) {
    return err([{ line: 0, column: 0, field: '', message: messageOf(error) }]);
  }
  const source = parseSource(text);
  if (!source.ok) return source;
  const dir = path === null ? process.cwd() : dirname(resolve(path));
  const resolved = resolveReferences(source.value.value, { env, dir });
  const faults = [...resolved.faults, ...findFormFaults(resolved, validate)];
  if (faults.length > 0) return err(faults.map(source.value.place));
  const form = withFlags(resolved.value as WebForm, flags);
  const wrong = [...checkReach(form), ...checkPeople(form)];
  if (wrong.length > 0) return err(wrong.map(source.value.place));
  try {
    return ok(await complete(form, flags, (file) => resolve(dir, file)));
  } catch (error) {
    return err([source.value.place({ field: '/tls', message: messageOf(error) })]);
  }
}

function withFlags(form: WebForm, { listen, operator }: WebFlags): WebForm {
  return {
    ...form,
    ...(listen === undefined ? {} : { listen }),
    ...(operator === undefined ? {} : { operators: operator }),
  };
}

/** From where it may be reached, and as what. */
function checkReach({
  listen,
  public_url: url,
  tls,
  trusted_proxies: proxies,
}: WebForm): FieldFault[] {
  const endpoint = parseEndpoint(listen ?? LISTEN_DEFAULT);
  if (endpoint === null)
    return [{ field: '/listen', message: 'must be host:port, such as 127.0.0.1:8443' }];
  const faults: FieldFault[] = [];
  const isNear = isLoopback(endpoint.host);
  if (!isNear && tls === undefined && proxies === undefined)
    faults.push({
      field: '/listen',
      message:
        'is reachable from other hosts, which needs tls (cert_file, key_file), or trusted_proxies that end it; or use 127.0.0.1',
    });
  if (url === undefined && (!isNear || proxies !== undefined))
    faults.push({
      field: '/public_url',
      message: 'is missing; add it: https:// and the name that browsers use',
    });
  const mustBeSecure = tls !== undefined || proxies !== undefined;
  if (url !== undefined && mustBeSecure && !url.startsWith('https:'))
    faults.push({ field: '/public_url', message: 'must begin with https: where TLS is used' });
  if (url !== undefined && !mustBeSecure && url.startsWith('https:'))
    faults.push({
      field: '/public_url',
      message: 'is https: then add tls, or trusted_proxies that end it',
    });
  return faults;
}

function checkPeople({ people, logins = {}, oidc }: WebForm): FieldFault[] {
  if (oidc !== undefined && people === undefined)
    return [
      {
        field: '/people',
        message: 'is missing; add it: oidc names a person, people says as which login they ask',
      },
    ];
  return Object.entries(people ?? {}).flatMap(([name, { login, password_hash: hash }]) => {
    const field = `/people/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    const faults: FieldFault[] = [];
    if (!Object.hasOwn(logins, login))
      faults.push({ field: `${field}/login`, message: 'must be one of logins' });
    if (hash !== undefined && !isPasswordHash(hash))
      faults.push({
        field: `${field}/password_hash`,
        message: 'must be a line of `sealtrail web hash-password`',
      });
    if (hash === undefined && oidc === undefined)
      faults.push({ field, message: 'has no way to sign in: add password_hash, or oidc' });
    return faults;
  });
}

async function complete(
  form: WebForm,
  flags: WebFlags,
  inDir: (file: string) => string,
): Promise<WebConfig> {
  const { tls, oidc, store, session } = form;
  const ofFile = (file: string | undefined): string | null =>
    file === undefined ? null : inDir(file);
  return {
    listen: parseEndpoint(form.listen ?? LISTEN_DEFAULT) ?? { host: '127.0.0.1', port: 0 },
    storeUrl: flags.store ?? store?.url ?? null,
    storeTls: clientTls(store?.tls, inDir).tls ?? null,
    dataDir: flags.dataDir ?? ofFile(form.data_dir),
    trustFile: flags.trust ?? ofFile(form.trust_file),
    certificateKeyFile: flags.certificateKey ?? ofFile(form.certificate_key_file),
    settings: {
      publicUrl: form.public_url === undefined ? null : new URL(form.public_url).origin,
      tls:
        tls === undefined
          ? null
          : {
              cert: await readFile(inDir(tls.cert_file), 'utf8'),
              key: await readFile(inDir(tls.key_file), 'utf8'),
            },
      trustedProxies: form.trusted_proxies ?? [],
      session: {
        idleMs: (session?.idle_minutes ?? 15) * MINUTE_MS,
        lifeMs: (session?.hours ?? 8) * 60 * MINUTE_MS,
      },
      signIn: {
        people: peopleOf(form),
        operators: new Set(form.operators),
        oidc:
          oidc === undefined
            ? null
            : {
                issuer: oidc.issuer,
                clientId: oidc.client_id,
                clientSecret: oidc.client_secret,
                claim: oidc.claim ?? 'email',
                title: oidc.title ?? 'Sign in with your organisation',
              },
      },
    },
  };
}

function peopleOf({ people, logins = {} }: WebForm): ReadonlyMap<string, PersonEntry> | null {
  if (people === undefined) return null;
  return new Map(
    Object.entries(people).map(([name, { login, password_hash: passwordHash }]) => [
      name,
      { passwordHash, login: { user: login, password: logins[login]?.password ?? '' } },
    ]),
  );
}
