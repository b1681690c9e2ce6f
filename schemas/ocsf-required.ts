/**
 * What the 13 classes of OCSF require, and where each attribute comes from: what our event has, and
 * what it had not and the mapping adds. Part of docs/mapping.md; test/conformance/ocsf.test.ts
 * compares it with the published schemas.
 */

/** An attribute that at least one of our OCSF classes requires. */
export interface RequiredAttribute {
  readonly attribute: string;
  /** True: our event did not have it, the mapping or the vocabulary adds it. */
  readonly added: boolean;
  readonly from: string;
}

export const OCSF_REQUIRED: readonly RequiredAttribute[] = [
  { attribute: 'severity_id', added: true, from: 'the sensitivity of the action and the outcome' },
  { attribute: 'class_uid', added: true, from: 'the vocabulary, per action' },
  { attribute: 'activity_id', added: true, from: 'the vocabulary, per action' },
  { attribute: 'category_uid', added: true, from: 'the thousands of `class_uid`' },
  { attribute: 'type_uid', added: true, from: '`class_uid` × 100 + `activity_id`' },
  { attribute: 'metadata.version', added: true, from: 'the version of OCSF mapped to' },
  { attribute: 'metadata.product', added: false, from: '`source.service` and its version' },
  { attribute: 'time', added: false, from: '`event.time`' },
  { attribute: 'actor', added: false, from: '`actor`' },
  { attribute: 'api', added: false, from: '`event.action`' },
  {
    attribute: 'src_endpoint',
    added: false,
    from: '`source.ip`; a job, which has none, is its own service',
  },
  {
    attribute: 'privileges',
    added: true,
    from: 'the resource if it is a role, else `metadata.role`; `unknown` where neither says',
  },
  { attribute: 'user', added: false, from: 'the resource, `on_behalf_of` or the actor, by class' },
  { attribute: 'service', added: false, from: '`source.service`' },
  { attribute: 'entity', added: false, from: '`resource`' },
  { attribute: 'group', added: false, from: '`resource`' },
  { attribute: 'file', added: false, from: '`resource`' },
  { attribute: 'app', added: false, from: '`resource`' },
  { attribute: 'web_resources', added: false, from: '`resource`' },
  { attribute: 'database', added: false, from: '`resource`, with `type_id` 99 Other' },
  {
    attribute: 'http_request',
    added: false,
    from: '`correlation.request_id`, `source.user_agent`',
  },
];
