/**
 * Makes what searchResources lists in a cluster. Idempotent: what is there and the same is left alone, what
 * is ours and older is replaced, what somebody else made under our name is not touched.
 */
import { codeOf, err, ok, type Result } from '../../../schemas/result.ts';
import type { ElasticsearchExporterConfig } from '../../../schemas/exporter-config.ts';
import { memberOf, readJson } from '../../../schemas/untrusted-json.ts';
import { authorizationOf } from '../sinks/elasticsearch.ts';
import { createHttpSender, type HttpAnswer } from '../sinks/http.ts';
import {
  MANAGED_BY,
  searchResources,
  type SearchFlavor,
  type SearchResource,
} from './search-resources.ts';

export interface SetupOptions {
  /** Where, over which TLS, and what for. */
  readonly exporter: ElasticsearchExporterConfig;
  /** Of a user who may do this. */
  readonly credentials: Pick<ElasticsearchExporterConfig, 'api_key' | 'username' | 'password'>;
  readonly deleteAfterDays?: number;
  readonly nowMs: () => number;
}

export interface SetupStep {
  readonly kind: SearchResource['kind'];
  readonly name: string;
  readonly done: 'created' | 'updated' | 'unchanged';
}

export interface SetupDone {
  readonly flavor: SearchFlavor;
  readonly version: string;
  readonly steps: readonly SetupStep[];
}

export interface SetupError {
  /** unreachable: nobody answered. refused: the cluster said no. foreign: it is not ours to change. */
  readonly kind: 'unreachable' | 'refused' | 'foreign';
  /** For the person who ran it: what to do. */
  readonly message: string;
}

type Ask = (
  method: 'GET' | 'PUT',
  path: string,
  body?: unknown,
) => Promise<Result<HttpAnswer, SetupError>>;

/** Runs the setup. What was done before an error stays done; running it again goes on from there. */
export async function setupSearch(options: SetupOptions): Promise<Result<SetupDone, SetupError>> {
  const { exporter } = options;
  const http = createHttpSender(
    { ...exporter, gzip: false },
    authorizationOf(options.credentials),
    options.nowMs,
  );
  const ask: Ask = async (method, path, body) => {
    const answer = await http.send(
      {
        method,
        path,
        headers: { 'content-type': 'application/json' },
        body: body === undefined || body === null ? '' : JSON.stringify(body),
      },
      new AbortController().signal,
    );
    return answer.ok ? answer : err({ kind: 'unreachable', message: answer.error });
  };
  try {
    return await run(options, ask);
  } catch (error) {
    // A file of TLS that is not there, most likely.
    if (codeOf(error) === '') throw error;
    return err({ kind: 'unreachable', message: `cannot connect (${codeOf(error)})` });
  } finally {
    await http.close();
  }
}

async function run(
  { exporter, deleteAfterDays }: SetupOptions,
  ask: Ask,
): Promise<Result<SetupDone, SetupError>> {
  const root = await ask('GET', '/');
  if (!root.ok) return root;
  if (root.value.status !== 200) return err(refusalOf('GET /', root.value));
  const about = memberOf(readJson(root.value.text), 'version');
  const version = memberOf(about, 'number');
  if (typeof version !== 'string')
    return err({ kind: 'refused', message: 'this is neither Elasticsearch nor OpenSearch' });
  const flavor: SearchFlavor =
    memberOf(about, 'distribution') === 'opensearch' ? 'opensearch' : 'elasticsearch';
  const steps: SetupStep[] = [];
  const resources = searchResources({
    flavor,
    dataStream: exporter.data_stream,
    format: exporter.format,
    ...(deleteAfterDays === undefined ? {} : { deleteAfterDays }),
  });
  for (const resource of resources) {
    const done = await ensure(resource, flavor, ask);
    if (!done.ok) return done;
    steps.push({ kind: resource.kind, name: resource.name, done: done.value });
  }
  return ok({ flavor, version, steps });
}

async function ensure(
  resource: SearchResource,
  flavor: SearchFlavor,
  ask: Ask,
): Promise<Result<SetupStep['done'], SetupError>> {
  const { kind, name, path, sha256 } = resource;
  const found = await ask('GET', path);
  if (!found.ok) return found;
  const { status, text } = found.value;
  if (status !== 200 && status !== 404) return err(refusalOf(`GET ${path}`, found.value));
  const isThere = status === 200;
  const there = readJson(text);
  if (isThere && kind === 'data_stream') return ok('unchanged');
  const mark = isThere ? markOf(resource, flavor, there) : null;
  if (isThere && mark === null) {
    const message = `${kind.replace('_', ' ')} "${name}" is there and not made by ${MANAGED_BY}; rename or remove it, then run this again`;
    return err({ kind: 'foreign', message });
  }
  if (mark === sha256) return ok('unchanged');
  const put = await ask('PUT', path + versionOf(resource, flavor, there), resource.body);
  if (!put.ok) return put;
  if (put.value.status < 200 || put.value.status > 299)
    return err(refusalOf(`PUT ${path}`, put.value));
  return ok(isThere ? 'updated' : 'created');
}

/** The mark that our own resources carry; null for somebody else's. */
function markOf(
  { kind, name }: SearchResource,
  flavor: SearchFlavor,
  there: unknown,
): string | null {
  if (kind === 'lifecycle_policy' && flavor === 'opensearch') {
    const description = memberOf(memberOf(there, 'policy'), 'description');
    const prefix = `managed_by ${MANAGED_BY} `;
    return typeof description === 'string' && description.startsWith(prefix)
      ? description.slice(prefix.length)
      : null;
  }
  const templates = memberOf(there, 'index_templates');
  const first: unknown = Array.isArray(templates) ? templates[0] : undefined;
  const holder =
    kind === 'index_template'
      ? memberOf(first, 'index_template')
      : memberOf(memberOf(there, name), 'policy');
  const meta = memberOf(holder, '_meta');
  const sha256 = memberOf(meta, 'sha256');
  return memberOf(meta, 'managed_by') === MANAGED_BY && typeof sha256 === 'string' ? sha256 : null;
}

/** ISM replaces a policy only when it is told which version. */
function versionOf({ kind }: SearchResource, flavor: SearchFlavor, there: unknown): string {
  const seqNo = memberOf(there, '_seq_no');
  const term = memberOf(there, '_primary_term');
  if (kind !== 'lifecycle_policy' || flavor !== 'opensearch') return '';
  if (typeof seqNo !== 'number' || typeof term !== 'number') return '';
  return `?if_seq_no=${seqNo}&if_primary_term=${term}`;
}

function refusalOf(what: string, { status, text }: HttpAnswer): SetupError {
  if (status === 401)
    return { kind: 'refused', message: `${what}: the credentials are not accepted (401)` };
  if (status === 403) {
    const message = `${what}: the credentials do not allow it (403); setup needs manage_ilm, manage_index_templates and create_index on the data stream (OpenSearch: the same in its roles), more than the sink does`;
    return { kind: 'refused', message };
  }
  const type = memberOf(memberOf(readJson(text), 'error'), 'type');
  const word = typeof type === 'string' && /^[a-z_]{1,80}$/.test(type) ? `${type}, ` : '';
  return { kind: 'refused', message: `${what}: ${word}answered ${status}` };
}
