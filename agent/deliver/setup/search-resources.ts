/**
 * What a search cluster needs before the Elasticsearch sink writes to it: a lifecycle policy, an index
 * template made of the mapping table, a data stream. Pure; in the words of Elasticsearch 8 and 9, or of
 * OpenSearch 2 and 3, which has ISM in place of ILM and `flat_object` in place of `flattened`.
 */
import { createHash } from 'node:crypto';
import { MAPPING_TABLE } from '../../../schemas/mapping-table.ts';

export type SearchFlavor = 'elasticsearch' | 'opensearch';

export interface ResourceOptions {
  readonly flavor: SearchFlavor;
  readonly dataStream: string;
  readonly format: 'ecs' | 'ocsf';
  /** Days from rollover after which an index is deleted; absent: never. */
  readonly deleteAfterDays?: number;
}

export interface SearchResource {
  readonly kind: 'lifecycle_policy' | 'index_template' | 'data_stream';
  readonly name: string;
  readonly path: string;
  readonly body: JsonBody | null;
  /** Of the body: what stands in the cluster is ours and the same when it carries this. */
  readonly sha256: string;
}

type JsonBody = Readonly<Record<string, unknown>>;

export const MANAGED_BY = 'sealtrail';
/** Above the templates for `logs-*-*` that both servers bring along (100 and 200). */
const PRIORITY = 300;
const ROLLOVER_AGE = '30d';
const ROLLOVER_SIZE = '50gb';
/** As in ECS: longer texts stay in the document, but are not searched. */
const IGNORE_ABOVE = 1_024;

/** Places of the table that are no keywords. */
const TYPES: Readonly<Record<string, string>> = {
  '@timestamp': 'date',
  'event.created': 'date',
  'event.severity': 'long',
  'event.sequence': 'long',
  'source.ip': 'ip',
  'client.ip': 'ip',
  'related.ip': 'ip',
  message: 'text',
  'sealtrail.metadata': 'flattened',
  'sealtrail.origin': 'flattened',
};

/** All that is needed, in the order in which it is made. */
export function searchResources(options: ResourceOptions): readonly SearchResource[] {
  const { flavor, dataStream } = options;
  const name = `${MANAGED_BY}-${dataStream}`;
  const policyPath =
    flavor === 'elasticsearch' ? `/_ilm/policy/${name}` : `/_plugins/_ism/policies/${name}`;
  const policy = flavor === 'elasticsearch' ? ilmPolicy(options) : ismPolicy(options);
  const template = indexTemplate(options, name);
  return [
    { kind: 'lifecycle_policy', name, path: policyPath, ...policy },
    { kind: 'index_template', name, path: `/_index_template/${name}`, ...template },
    {
      kind: 'data_stream',
      name: dataStream,
      path: `/_data_stream/${dataStream}`,
      body: null,
      sha256: '',
    },
  ];
}

type Body = Pick<SearchResource, 'body' | 'sha256'>;

/** Signs a body: `place` puts the mark where the server keeps it. */
function marked(content: JsonBody, place: (sha256: string) => JsonBody): Body {
  const sha256 = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  return { body: place(sha256), sha256 };
}

function ilmPolicy({ deleteAfterDays }: ResourceOptions): Body {
  const phases = {
    hot: {
      min_age: '0ms',
      actions: { rollover: { max_age: ROLLOVER_AGE, max_primary_shard_size: ROLLOVER_SIZE } },
    },
    ...(deleteAfterDays === undefined
      ? {}
      : { delete: { min_age: `${deleteAfterDays}d`, actions: { delete: {} } } }),
  };
  return marked({ phases }, (sha256) => ({ policy: { _meta: metaOf(sha256), phases } }));
}

/** ISM keeps no `_meta`: the mark is the end of the description. Its ages count from creation. */
function ismPolicy({ dataStream, deleteAfterDays }: ResourceOptions): Body {
  const transitions =
    deleteAfterDays === undefined
      ? []
      : [{ state_name: 'delete', conditions: { min_rollover_age: `${deleteAfterDays}d` } }];
  const rollover = { min_index_age: ROLLOVER_AGE, min_primary_shard_size: ROLLOVER_SIZE };
  const policy = {
    default_state: 'hot',
    states: [
      { name: 'hot', actions: [{ rollover }], transitions },
      ...(deleteAfterDays === undefined
        ? []
        : [{ name: 'delete', actions: [{ delete: {} }], transitions: [] }]),
    ],
    ism_template: [{ index_patterns: [dataStream], priority: PRIORITY }],
  };
  return marked(policy, (sha256) => ({
    policy: { description: `managed_by ${MANAGED_BY} ${sha256}`, ...policy },
  }));
}

function indexTemplate({ flavor, dataStream, format }: ResourceOptions, policyName: string): Body {
  const content = {
    index_patterns: [dataStream],
    data_stream: {},
    priority: PRIORITY,
    template: {
      settings: {
        index: {
          codec: 'best_compression',
          // A value that does not fit its field costs the search for it, never the document.
          mapping: { ignore_malformed: true },
          ...(flavor === 'elasticsearch' ? { lifecycle: { name: policyName } } : {}),
        },
      },
      mappings: format === 'ecs' ? ecsMappings(flavor) : ocsfMappings(flavor),
    },
  };
  return marked(content, (sha256) => ({ ...content, _meta: metaOf(sha256) }));
}

function metaOf(sha256: string): JsonBody {
  return { managed_by: MANAGED_BY, sha256 };
}

/** Mappings of every place that a document can have: nothing is left to be guessed from values. */
export function ecsMappings(flavor: SearchFlavor): JsonBody {
  const root: Tree = new Map();
  const places = MAPPING_TABLE.flatMap(({ ecs }) => ecs.split(' ').filter((place) => place !== ''));
  for (const place of new Set(['message', ...places])) plant(root, place.split('.'), place, flavor);
  return { dynamic: false, properties: propertiesOf(root) };
}

type Tree = Map<string, Tree | JsonBody>;

function plant(
  tree: Tree,
  [name = '', ...rest]: readonly string[],
  place: string,
  flavor: SearchFlavor,
): void {
  if (rest.length === 0) {
    tree.set(name, fieldOf(TYPES[place] ?? 'keyword', flavor));
    return;
  }
  const below = tree.get(name);
  const branch: Tree = below instanceof Map ? below : new Map<string, Tree | JsonBody>();
  tree.set(name, branch);
  plant(branch, rest, place, flavor);
}

function propertiesOf(tree: Tree): JsonBody {
  return Object.fromEntries(
    [...tree].map(([name, node]) => [
      name,
      node instanceof Map ? { properties: propertiesOf(node) } : node,
    ]),
  );
}

function fieldOf(type: string, flavor: SearchFlavor): JsonBody {
  if (type === 'keyword') return { type, ignore_above: IGNORE_ABOVE };
  if (type !== 'flattened') return { type };
  return flavor === 'opensearch' ? { type: 'flat_object' } : { type, ignore_above: IGNORE_ABOVE };
}

/** OCSF has hundreds of attributes by class: texts become keywords, and what is free stays one field. */
function ocsfMappings(flavor: SearchFlavor): JsonBody {
  return {
    dynamic_templates: [
      {
        texts: {
          match_mapping_type: 'string',
          mapping: { type: 'keyword', ignore_above: IGNORE_ABOVE },
        },
      },
    ],
    properties: {
      '@timestamp': { type: 'date' },
      time: { type: 'date', format: 'epoch_millis' },
      message: { type: 'text' },
      unmapped: fieldOf('flattened', flavor),
    },
  };
}
