/**
 * Subjects of sealed records in NATS: PREFIX.SHARD.TENANT. The tenant is hashed, since its name may hold
 * dots and spaces mean something to NATS; permissions of a tenant's user are for PREFIX.*.TENANT. The
 * shard is of the stream's name: a stream keeps to one subject, and so to its order, while a tenant's
 * streams spread over gateways.
 */
import { createHash } from 'node:crypto';

/** Names of all shards; a stream's never changes, so neither may this list. */
export const SHARDS: readonly string[] = [...'0123456789abcdef'];

const TENANT_LENGTH = 32;

/** The token that stands for a tenant in subjects and permissions: 32 hex digits. */
export function tenantToken(tenant: string): string {
  return sha256(tenant).slice(0, TENANT_LENGTH);
}

/** The subject of a tenant's stream. */
export function subjectOf(prefix: string, tenant: string, stream: string): string {
  return `${prefix}.${sha256(stream).slice(0, 1)}.${tenantToken(tenant)}`;
}

/** What the consumer of a shard filters by. */
export function shardFilter(prefix: string, shard: string): string {
  return `${prefix}.${shard}.*`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
