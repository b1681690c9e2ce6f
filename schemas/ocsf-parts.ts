/**
 * What differs between OCSF classes: where a class takes what was acted upon, and whether it has a
 * place for the request and the trace. ocsf.ts has what all classes share.
 */
import { isIP } from 'node:net';
import type { ActorType, AuditEvent, Principal, Resource, Source } from './event.ts';
import { isAccount, present, type JsonObject } from './mapping.ts';

/** Base Event and Application Lifecycle know neither `src_endpoint` nor `http_request`. */
export function hasRequest(class_uid: number): boolean {
  return class_uid !== 0 && class_uid !== 6002;
}

/** `trace` is an attribute of API Activity alone. */
export function hasTrace(class_uid: number): boolean {
  return class_uid === 6003;
}

/** Where the request came from, in as much as the class has attributes for it. */
export function requestOf(class_uid: number, { correlation, source }: AuditEvent): JsonObject {
  if (!hasRequest(class_uid)) return {};
  const http = present({ uid: correlation.request_id, user_agent: source.user_agent });
  // Web Resource Access Activity requires the object, be it empty.
  const isHttp = Object.keys(http).length > 0 || class_uid === 6004;
  return present({
    src_endpoint: endpointOf(source),
    http_request: isHttp ? http : null,
    trace: hasTrace(class_uid) && correlation.trace_id ? { uid: correlation.trace_id } : null,
  });
}

/** A job has no address: it began in the service itself. */
function endpointOf({ ip, service }: Source): JsonObject {
  if (ip === null) return { svc_name: service };
  return isIP(ip) === 0 ? { name: ip } : { ip };
}

const USER_TYPE: Readonly<Record<ActorType, number>> = {
  user: 1,
  admin: 2,
  system: 3,
  service: 4,
  api_key: 99,
  anonymous: 99,
};

/** A principal as an OCSF user. */
export function userOf({ type, id, name }: Principal): JsonObject {
  return { uid: id, name, type, type_id: USER_TYPE[type] };
}

/** The resource, in the form that most OCSF objects share. */
export function thingOf({ id, name, type }: Resource): JsonObject {
  return present({ uid: id, name, type });
}

type Build = (event: AuditEvent, activity_id: number) => JsonObject;

/** By class: the attributes that take the resource, and whatever else the class requires. */
const OBJECTS: ReadonlyMap<number, Build> = new Map<number, Build>([
  [3001, ({ resource }) => ({ user: thingOf(resource) })],
  [3002, authentication],
  [3003, sessionPrivileges],
  [3004, ({ resource }) => ({ entity: thingOf(resource) })],
  [3005, userAccess],
  [3006, groupManagement],
  [6001, ({ resource }) => ({ web_resources: [thingOf(resource)] })],
  [6002, ({ resource: { id, name } }) => ({ app: present({ uid: id, name }) })],
  [6003, apiActivity],
  [6004, ({ resource }) => ({ web_resources: [thingOf(resource)] })],
  [6005, ({ resource }) => ({ database: { ...thingOf(resource), type_id: 99 } })],
  [6006, file],
]);

/** The attributes in which a class takes the resource; none where a class has none. */
export function objectOf(class_uid: number, activity_id: number, event: AuditEvent): JsonObject {
  return OBJECTS.get(class_uid)?.(event, activity_id) ?? {};
}

/** Activity of Authentication: the actor goes on as somebody else. */
const ACCOUNT_SWITCH = 7;
/** Activity of Authorize Session. */
const ASSIGN_GROUPS = 2;

/** Who signs in: the account that is the resource, or whom the actor switches to, or the actor. */
function authentication({ actor, resource, source }: AuditEvent, activity_id: number): JsonObject {
  const isSwitch = activity_id === ACCOUNT_SWITCH;
  const subject = (isSwitch ? actor.on_behalf_of : null) ?? actor;
  return {
    user: isAccount(resource) ? thingOf(resource) : userOf(subject),
    service: { name: source.service },
    ...(isSwitch ? { account_switch_type: 'Impersonate', account_switch_type_id: 2 } : {}),
  };
}

function sessionPrivileges(event: AuditEvent, activity_id: number): JsonObject {
  const { actor, resource } = event;
  return {
    user: isAccount(resource) ? thingOf(resource) : userOf(actor),
    // One of the two, never both.
    ...(activity_id === ASSIGN_GROUPS
      ? { group: groupOf(event) }
      : { privileges: privilegesOf(event) }),
  };
}

function userAccess(event: AuditEvent): JsonObject {
  const { metadata, resource } = event;
  const [uid] = textsIn(metadata, ['user_id', 'user', 'grantee']);
  return {
    user: isPrivilege(resource) ? { uid } : thingOf(resource),
    privileges: privilegesOf(event),
    resources: [thingOf(resource)],
  };
}

function groupManagement(event: AuditEvent): JsonObject {
  const { resource } = event;
  const user = isAccount(resource) ? { user: thingOf(resource) } : {};
  return { group: groupOf(event), ...user };
}

/** The group: the resource, unless that is the account which joins or leaves. */
function groupOf({ metadata, resource }: AuditEvent): JsonObject {
  if (!isAccount(resource)) return thingOf(resource);
  const [name] = textsIn(metadata, ['group', 'group_id']);
  return { name };
}

function apiActivity({ event, resource, source }: AuditEvent): JsonObject {
  return {
    api: { operation: event.action, service: { name: source.service } },
    resources: [thingOf(resource)],
  };
}

function file({ resource }: AuditEvent): JsonObject {
  const thing = thingOf(resource);
  return {
    file: {
      ...thing,
      name: resource.name ?? resource.id,
      type_id: resource.type === 'file' ? 1 : 99,
    },
  };
}

const PRIVILEGE_TYPES = new Set(['group', 'permission', 'policy', 'privilege', 'role', 'scope']);

function isPrivilege({ type }: Resource): boolean {
  return PRIVILEGE_TYPES.has(type);
}

/** OCSF requires privileges by name: the resource if it is one, else what metadata says. */
function privilegesOf({ metadata, resource }: AuditEvent): readonly string[] {
  if (isPrivilege(resource)) return [resource.name ?? resource.id];
  return textsIn(metadata, [
    'privileges',
    'privilege',
    'roles',
    'role',
    'permissions',
    'permission',
  ]);
}

/** The texts below the first of these names that has any; `unknown` where none does. */
function textsIn(
  metadata: AuditEvent['metadata'],
  names: readonly string[],
): readonly [string, ...string[]] {
  for (const name of names) {
    const value = Object.hasOwn(metadata, name) ? metadata[name] : undefined;
    const [first, ...rest] = [value].flat().filter((one) => typeof one === 'string');
    if (first !== undefined) return [first, ...rest];
  }
  return ['unknown'];
}
