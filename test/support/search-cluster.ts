/**
 * A strict stand-in for the part of Elasticsearch or OpenSearch that `setup` talks to: it keeps policies,
 * templates and data streams, and refuses what the real one would: unknown members, unknown field types,
 * a data stream without its template, an ISM policy replaced without its version.
 */
import { startHttpPeer, type HttpPeer, type PeerAnswer, type PeerRequest } from './http-peer.ts';

export interface SearchCluster extends HttpPeer {
  readonly policies: Map<string, Stored>;
  readonly templates: Map<string, Stored>;
  readonly dataStreams: Set<string>;
  /** Whole value of the Authorization header; null: anybody. */
  authorize(header: string | null): void;
  /** Requests that change something. */
  readonly writes: string[];
}

interface Stored {
  readonly body: Members;
  readonly version: number;
}
type Members = Readonly<Record<string, unknown>>;
type Flavor = 'elasticsearch' | 'opensearch';

const TYPES: Readonly<Record<Flavor, ReadonlySet<string>>> = {
  elasticsearch: new Set(['keyword', 'date', 'ip', 'long', 'text', 'flattened']),
  opensearch: new Set(['keyword', 'date', 'ip', 'long', 'text', 'flat_object']),
};

const json = (status: number, value: unknown): PeerAnswer => ({
  status,
  body: JSON.stringify(value),
});
const refuse = (status: number, type: string): PeerAnswer =>
  json(status, { error: { type, reason: type }, status });
const OK = json(200, { acknowledged: true });

/** What is wrong with the properties of a mapping; null: nothing. */
function faultIn(properties: unknown, flavor: Flavor): string | null {
  for (const [name, node] of Object.entries(properties as Record<string, Members>)) {
    if (node['properties'] !== undefined) {
      const below = faultIn(node['properties'], flavor);
      if (below !== null) return below;
    } else if (!TYPES[flavor].has(String(node['type']))) {
      return `no handler for type [${String(node['type'])}] declared on field [${name}]`;
    }
  }
  return null;
}

/** Starts a cluster; with `await using` it is stopped. */
export async function startSearchCluster(flavor: Flavor = 'elasticsearch'): Promise<SearchCluster> {
  const policies = new Map<string, Stored>();
  const templates = new Map<string, Stored>();
  const dataStreams = new Set<string>();
  const writes: string[] = [];
  let authorization: string | null = null;
  const policyPath = flavor === 'elasticsearch' ? '/_ilm/policy/' : '/_plugins/_ism/policies/';

  function putPolicy(name: string, body: Members, url: URL): PeerAnswer {
    const { policy } = body as { policy: Members };
    const known = policies.get(name);
    const version = (known?.version ?? 0) + 1;
    if (flavor === 'elasticsearch') {
      const unknown = Object.keys(policy).find((key) => !['phases', '_meta'].includes(key));
      if (unknown !== undefined) return refuse(400, 'x_content_parse_exception');
      policies.set(name, { body, version });
      return OK;
    }
    const seqNo = url.searchParams.get('if_seq_no');
    if ((known === undefined) !== (seqNo === null))
      return refuse(409, 'version_conflict_engine_exception');
    if (known !== undefined && seqNo !== String(known.version))
      return refuse(409, 'version_conflict_engine_exception');
    if (policy['default_state'] === undefined || policy['_meta'] !== undefined)
      return refuse(400, 'illegal_argument_exception');
    policies.set(name, { body, version });
    return json(201, { _id: name, _seq_no: version, _primary_term: 1 });
  }

  function getPolicy(name: string): PeerAnswer {
    const known = policies.get(name);
    if (known === undefined) return refuse(404, 'resource_not_found_exception');
    const { policy } = known.body as { policy: Members };
    return flavor === 'elasticsearch'
      ? json(200, { [name]: { version: known.version, policy } })
      : json(200, { _id: name, _seq_no: known.version, _primary_term: 1, policy });
  }

  function putTemplate(name: string, body: Members): PeerAnswer {
    const members = ['index_patterns', 'data_stream', 'priority', 'template', '_meta'];
    if (Object.keys(body).some((key) => !members.includes(key)))
      return refuse(400, 'x_content_parse_exception');
    const { mappings } = body['template'] as { mappings: Members };
    if (faultIn(mappings['properties'], flavor) !== null)
      return refuse(400, 'mapper_parsing_exception');
    templates.set(name, { body, version: 1 });
    return OK;
  }

  function putDataStream(name: string): PeerAnswer {
    if (dataStreams.has(name)) return refuse(400, 'resource_already_exists_exception');
    const hasTemplate = [...templates.values()].some(
      ({ body }) =>
        (body['index_patterns'] as string[]).includes(name) && body['data_stream'] !== undefined,
    );
    if (!hasTemplate) return refuse(400, 'illegal_argument_exception');
    dataStreams.add(name);
    return OK;
  }

  function handle({ method, url, headers, body }: PeerRequest): PeerAnswer | string {
    if (authorization !== null && headers.authorization !== authorization)
      return refuse(headers.authorization === undefined ? 401 : 403, 'security_exception');
    const path = url.pathname;
    if (method === 'GET' && path === '/')
      return json(200, {
        version: { number: '9.0.0', ...(flavor === 'opensearch' && { distribution: flavor }) },
      });
    const name = path.split('/').at(-1) ?? '';
    if (method === 'GET' && body.length > 0) return 'a GET with a body';
    if (method === 'PUT') writes.push(path);
    const value =
      body.length === 0 ? null : (JSON.parse(body.toString('utf8')) as Record<string, unknown>);
    if (value !== null && headers['content-type'] !== 'application/json') return 'content type';
    if (path === policyPath + name)
      return method === 'PUT' && value !== null ? putPolicy(name, value, url) : getPolicy(name);
    if (path === `/_index_template/${name}`) {
      if (method === 'PUT' && value !== null) return putTemplate(name, value);
      const known = templates.get(name);
      return known === undefined
        ? refuse(404, 'resource_not_found_exception')
        : json(200, { index_templates: [{ name, index_template: known.body }] });
    }
    if (path === `/_data_stream/${name}`) {
      if (method === 'PUT') return value === null ? putDataStream(name) : 'a body';
      return dataStreams.has(name)
        ? json(200, { data_streams: [{ name }] })
        : refuse(404, 'index_not_found_exception');
    }
    return `${method} ${path}`;
  }

  const peer = await startHttpPeer({ handle });
  return {
    ...peer,
    policies,
    templates,
    dataStreams,
    writes,
    authorize: (header) => (authorization = header),
  };
}
