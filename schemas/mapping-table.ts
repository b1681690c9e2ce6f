/**
 * What becomes of each field of a record in ECS and in OCSF. docs/mapping.md is made of it, and
 * test/schemas/mapping-table.test.ts changes each field in turn and demands that exactly the
 * listed places change with it: what stands here is what ecs.ts and ocsf.ts do. Left out is
 * `message`, the line for people that both make of actor, action, resource and outcome.
 */

export interface MappingRow {
  /** Path in the record (`event.` of the envelope left out), or whose knowledge it is. */
  readonly ours: string;
  /** Fields of ECS, a space between; below `sealtrail.` what it does not define. */
  readonly ecs: string;
  /** Attributes of OCSF, of all classes together; below `unmapped.` what has none. */
  readonly ocsf: string;
  readonly note?: string;
  /** Where a standard has no clean home for it: what follows from that. */
  readonly consequence?: string;
}

/** Every field of a record, and what the vocabulary and the agent add. */
export const MAPPING_TABLE: readonly MappingRow[] = [
  {
    ours: 'schema_version',
    ecs: 'sealtrail.schema_version',
    ocsf: 'metadata.log_version',
    note: "Not `ecs.version` or `metadata.version`: those are the standards' own.",
    consequence: 'A query over records of several schema versions names our field.',
  },
  {
    ours: 'event_id',
    ecs: 'event.id',
    ocsf: 'metadata.uid',
    note: 'With the tenant also the `_id` of a document in Elasticsearch: delivering twice leaves one.',
  },
  {
    ours: 'event.time',
    ecs: '@timestamp',
    ocsf: 'time metadata.original_time',
    note: 'OCSF: milliseconds since 1970 (never below), and the text as it was.',
  },
  {
    ours: 'event.action',
    ecs: 'event.action',
    ocsf: 'metadata.event_code api.operation activity_name',
    note: '`activity_name` for activity 99; `api` in class 6003.',
  },
  {
    ours: 'event.category',
    ecs: 'sealtrail.category',
    ocsf: 'unmapped.category',
    consequence:
      "Our categories are the business's (payment, privacy), theirs are fixed lists. Dashboards of a SIEM group by theirs, which the vocabulary chooses per action; ours is there to filter by.",
  },
  {
    ours: 'event.outcome',
    ecs: 'event.outcome event.type event.category event.severity sealtrail.outcome',
    ocsf: 'status_id status status_code status_detail action_id disposition_id severity_id metadata.profiles',
    note: 'See "Three outcomes in schemas that know two".',
  },
  {
    ours: 'actor.id',
    ecs: 'user.id related.user service.origin.id',
    ocsf: 'actor.user.uid user.uid',
    note: '`user` in 3002 and 3003 where the actor is who signs in; `service.origin` for actors of type service.',
  },
  {
    ours: 'actor.name',
    ecs: 'user.name related.user service.origin.name',
    ocsf: 'actor.user.name user.name',
  },
  {
    ours: 'actor.type',
    ecs: 'sealtrail.actor.type service.origin.id service.origin.name',
    ocsf: 'actor.user.type actor.user.type_id user.type user.type_id',
    note: 'OCSF has user, admin, system and service; `api_key` and `anonymous` are 99 Other, named in `type`.',
    consequence:
      'ECS does not tell people from machines. A rule such as "an admin, outside office hours" has to name `sealtrail.actor.type`.',
  },
  {
    ours: 'actor.session_id',
    ecs: 'sealtrail.actor.session_id',
    ocsf: 'actor.session.uid',
    consequence:
      'ECS has sessions of processes only, none of web users: following one login through its actions is a query on our field.',
  },
  {
    ours: 'actor.roles',
    ecs: 'user.roles',
    ocsf: 'unmapped.actor_roles',
    consequence:
      'OCSF knows groups and privileges of a user, and a role is neither. Calling it a group would be a guess, so rules about roles read `unmapped`.',
  },
  {
    ours: 'actor.on_behalf_of.id',
    ecs: 'user.effective.id related.user',
    ocsf: 'unmapped.on_behalf_of.uid user.uid',
    note: 'ECS: `user` really acted, `user.effective` is the identity assumed. OCSF: `user` in 3002 Account Switch.',
    consequence:
      'Outside Account Switch OCSF has no second identity. Counting by `actor.user` counts who really acted, which is right; who was acted for takes a query on `unmapped`.',
  },
  {
    ours: 'actor.on_behalf_of.name',
    ecs: 'user.effective.name related.user',
    ocsf: 'unmapped.on_behalf_of.name user.name',
  },
  {
    ours: 'actor.on_behalf_of.type',
    ecs: 'sealtrail.on_behalf_of.type',
    ocsf: 'unmapped.on_behalf_of.type unmapped.on_behalf_of.type_id user.type user.type_id',
    consequence: 'As with `actor.type`.',
  },
  {
    ours: 'resource.type',
    ecs: 'sealtrail.resource.type',
    ocsf: 'unmapped.resource.type user.type entity.type group.type web_resources[].type resources[].type database.type file.type file.type_id',
    consequence:
      'ECS describes hosts, files, users and clouds, and no customer, invoice or patient. "Who touched customer 17" is the question an audit log exists for, and in ECS it is asked in our namespace: `sealtrail.resource.id`. Detection rules that come with a SIEM will never look there, so rules on business objects are yours to write.',
  },
  {
    ours: 'resource.id',
    ecs: 'sealtrail.resource.id user.target.id related.user',
    ocsf: 'unmapped.resource.uid user.uid entity.uid group.uid web_resources[].uid app.uid resources[].uid database.uid file.uid file.name privileges',
    note: '`user.target` where the resource is an account. OCSF: one place per class, and `unmapped.resource` in all.',
    consequence:
      'In OCSF the same object lies in `entity`, `database`, `file` or `resources` by class. `unmapped.resource` is the one place that a query over all classes can use.',
  },
  {
    ours: 'resource.name',
    ecs: 'sealtrail.resource.name user.target.name related.user',
    ocsf: 'unmapped.resource.name user.name entity.name group.name web_resources[].name app.name resources[].name database.name file.name privileges',
  },
  { ours: 'resource.tenant_id', ecs: 'organization.id', ocsf: 'metadata.tenant_uid' },
  {
    ours: 'source.ip',
    ecs: 'source.address source.ip client.address client.ip related.ip',
    ocsf: 'src_endpoint.ip src_endpoint.name src_endpoint.svc_name unmapped.source_ip',
    note: 'What is no valid address stays in `address`, or in `name`. Without one the service itself is the endpoint.',
  },
  {
    ours: 'source.user_agent',
    ecs: 'user_agent.original',
    ocsf: 'http_request.user_agent unmapped.user_agent',
    note: 'Classes 0 and 6002 have no request.',
  },
  {
    ours: 'source.service',
    ecs: 'service.name',
    ocsf: 'metadata.product.name api.service.name service.name src_endpoint.svc_name',
    note: 'The product that reports is the application; the agent is a logger on the way.',
  },
  { ours: 'source.service_version', ecs: 'service.version', ocsf: 'metadata.product.version' },
  {
    ours: 'correlation.request_id',
    ecs: 'http.request.id',
    ocsf: 'metadata.correlation_uid http_request.uid',
  },
  {
    ours: 'correlation.trace_id',
    ecs: 'trace.id',
    ocsf: 'trace.uid unmapped.trace_id metadata.profiles',
    note: 'Only class 6003 takes the profile `trace`.',
    consequence: 'In OCSF the join to traces reads `unmapped.trace_id` in all other classes.',
  },
  {
    ours: 'correlation.span_id',
    ecs: 'span.id',
    ocsf: 'unmapped.span_id',
    consequence:
      'An OCSF span requires start and end, which an audit event does not know. We do not invent them.',
  },
  {
    ours: 'correlation.workflow_id',
    ecs: 'sealtrail.workflow_id',
    ocsf: 'unmapped.workflow_id',
    consequence: 'Steps of one business process are joined in our namespace, in both.',
  },
  {
    ours: 'metadata',
    ecs: 'sealtrail.metadata',
    ocsf: 'unmapped.metadata privileges user.uid group.name',
    note: 'OCSF 3003, 3005, 3006 look for `role(s)`, `permission(s)`, `privilege(s)`, `user_id`, `user`, `grantee`, `group` and `group_id` in it where the resource is the other half.',
    consequence:
      "Free by nature. In Elasticsearch it has to be mapped as `flattened`: members are then searched as keywords, and no application can exhaust the field limit of an index or clash with another's types. Ranges and full text within it are not to be had.",
  },
  {
    ours: 'changes',
    ecs: 'sealtrail.changes',
    ocsf: 'unmapped.changes',
    consequence:
      'Both standards model new values (`user.changes.*`, `entity_result`); we record names only, so that the log never holds the data it guards.',
  },
  {
    ours: 'origin',
    ecs: 'sealtrail.origin',
    ocsf: 'unmapped.origin metadata.original_event_uid',
    note: "Of events that came by OTLP. `original_event_uid` is the client's record id.",
    consequence:
      "A client's own sequence, hash and signature are evidence of another chain than ours; no standard field would keep the two apart.",
  },
  {
    ours: 'chain.stream',
    ecs: 'sealtrail.chain.stream',
    ocsf: 'metadata.log_name',
    consequence:
      '`event.sequence` counts within a stream: gaps are looked for per `sealtrail.chain.stream`.',
  },
  { ours: 'chain.seq', ecs: 'event.sequence', ocsf: 'metadata.sequence' },
  {
    ours: 'chain.received_at',
    ecs: 'event.created',
    ocsf: 'metadata.logged_time',
    note: "`event.ingested` is the sink's to set.",
  },
  {
    ours: 'chain.salt',
    ecs: '',
    ocsf: '',
    note: 'Stays in the ledger and the store, as do `chain.v` and `chain.producer`.',
    consequence:
      'A SIEM cannot recompute the hash, nor need it: verification reads the ledger or the store.',
  },
  {
    ours: 'prev_hash',
    ecs: 'sealtrail.chain.prev_hash',
    ocsf: 'unmapped.prev_hash',
    consequence: 'Links can be compared in the SIEM; whether a hash is true cannot.',
  },
  {
    ours: 'this_hash',
    ecs: 'event.hash',
    ocsf: 'raw_data_hash.value',
    note: 'Of the sealed record, not of the mapped document.',
  },
  {
    ours: 'vocabulary: sensitivity',
    ecs: 'sealtrail.sensitivity event.severity',
    ocsf: 'unmapped.sensitivity severity_id',
    note: 'Severity: 1 when it went well; else 2, 2, 3, 4 for low, medium, high, critical.',
  },
  { ours: 'vocabulary: ecs', ecs: 'event.category event.type', ocsf: '' },
  {
    ours: 'vocabulary: ocsf',
    ecs: '',
    ocsf: 'class_uid class_name category_uid activity_id activity_name type_uid type_name metadata.profiles',
    note: 'An action no vocabulary declares (any more) is 6003, activity 99.',
  },
  {
    ours: 'agent: name and version',
    ecs: 'agent.name agent.version',
    ocsf: 'metadata.loggers[].name metadata.loggers[].version',
  },
  {
    ours: 'constant',
    ecs: 'ecs.version event.kind event.module event.dataset agent.type',
    ocsf: 'metadata.version metadata.loggers[].product.name raw_data_hash.algorithm raw_data_hash.algorithm_id account_switch_type account_switch_type_id database.type_id',
    note: "The standard's version, that this is an event, whose it is, SHA-256; Impersonate in 3002 Account Switch, Other for a database.",
  },
];
