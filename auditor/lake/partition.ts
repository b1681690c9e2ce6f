/**
 * Where a document lies in the lake: a source for each OCSF class, and below it region, account and day, as Amazon
 * Security Lake has it for custom sources. Pure.
 */
import type { OcsfDocument } from '../../schemas/ocsf.ts';

export const REGION_DEFAULT = 'local';
export const FILE_NAME = 'events.parquet';

/** The folder of a document, below the lake's own. What comes from outside of AWS is an account `external_…`. */
export function partitionOf(document: OcsfDocument, tenant: string, region: string): string {
  const day = new Date(Number(document['time'])).toISOString().slice(0, 10).replaceAll('-', '');
  const part = (name: string, value: string): string => `${name}=${encodeURIComponent(value)}`;
  return [
    `sealtrail_${document.class_uid}`,
    part('region', region),
    part('accountId', `external_${tenant}`),
    part('eventDay', day),
  ].join('/');
}
