/**
 * What records inherit from the resource that sent them. Read once for all of its records and bounded:
 * it is copied into each, and a request of a few kilobytes must not become a thousand times as much.
 */
import type { Json } from '../../schemas/event.ts';
import { RESOURCE, RESOURCE_KEPT } from '../../schemas/otel-audit.ts';
import type { Attributes } from '../../schemas/otlp.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { createTaker, toJsonObject } from './otlp-values.ts';

export interface ForeignResource {
  readonly tenant: string | undefined;
  readonly service: string;
  readonly serviceVersion: string | null;
  /** How its producers sign, where they do. */
  readonly integrityAlgorithm: string | undefined;
  /** Certificate or its name; '' where there is none. */
  readonly integrityCertificate: string;
  /** What is kept with each event, below `metadata.resource`; null when nothing is. */
  readonly kept: Json | null;
}

/** Longest name, in characters; what the event takes is shorter still. */
const NAME_MAX = 1024;
/** Longest certificate, base64. */
const CERTIFICATE_MAX = 16 * 1024;
/** Most characters of JSON kept with each event. */
const KEPT_MAX = 4 * 1024;

/** Reads the attributes of a resource; a fault refuses each of its records. */
export function readResource(attributes: Attributes): Result<ForeignResource, Refusal> {
  const taker = createTaker(attributes);
  const names = [RESOURCE.tenant, RESOURCE.serviceName, RESOURCE.serviceVersion] as const;
  const [tenant, service, serviceVersion] = names.map((name) => taker.text(name));
  const algorithm = taker.text(RESOURCE.integrityAlgorithm);
  const certificate = taker.text(RESOURCE.integrityCertificate) ?? '';
  const pairs = [...attributes].filter(([name]) => RESOURCE_KEPT.includes(name));
  const kept = pairs.length === 0 ? null : toJsonObject(new Map(pairs));

  const sizes: readonly (readonly [name: string, size: number, limit: number])[] = [
    [RESOURCE.tenant, tenant?.length ?? 0, NAME_MAX],
    [RESOURCE.serviceName, service?.length ?? 0, NAME_MAX],
    [RESOURCE.serviceVersion, serviceVersion?.length ?? 0, NAME_MAX],
    [RESOURCE.integrityAlgorithm, algorithm?.length ?? 0, NAME_MAX],
    [RESOURCE.integrityCertificate, certificate.length, CERTIFICATE_MAX],
    [RESOURCE_KEPT.join(', '), kept === null ? 0 : JSON.stringify(kept).length, KEPT_MAX],
  ];
  const beyond = sizes.find(([, size, limit]) => size > limit);
  if (beyond !== undefined) {
    const [name, , limit] = beyond;
    const message = `resource attributes are repeated in each event, and ${name} may take ${limit} characters; shorten it`;
    return err(refusal('too_large', message, name));
  }
  return ok({
    tenant,
    service: service ?? 'unknown_service',
    serviceVersion: serviceVersion ?? null,
    integrityAlgorithm: algorithm,
    integrityCertificate: certificate,
    kept,
  });
}
