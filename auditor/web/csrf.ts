/**
 * Whether a POST comes from a page of ours. Two checks that fail apart: where the browser says it comes from, and a
 * token bound to the cookie, masked anew in each page so that compression gives nothing of it away. Pure but for
 * randomness.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Origins } from './origins.ts';

const BYTES = 32;

/** A token for a page that is shown to the browser with this cookie. */
export function maskToken(key: Buffer, cookie: string): string {
  const mask = randomBytes(BYTES);
  return Buffer.concat([mask, xor(mask, tokenOf(key, cookie))]).toString('base64url');
}

/** Whether a token is of this cookie. */
export function isToken(key: Buffer, cookie: string, text: string): boolean {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== 2 * BYTES) return false;
  const token = xor(bytes.subarray(0, BYTES), bytes.subarray(BYTES));
  return timingSafeEqual(token, tokenOf(key, cookie));
}

function tokenOf(key: Buffer, cookie: string): Buffer {
  return createHmac('sha256', key).update(cookie).digest();
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, index) => byte ^ (other[index] ?? 0)));
}

/**
 * Whether the headers are those of a form on a page of `origins`. Under no-referrer browsers send "Origin: null" from
 * our own pages: then Sec-Fetch-Site has to say it. Neither: refused.
 */
export function isSameOrigin(headers: IncomingHttpHeaders, origins: Pick<Origins, 'has'>): boolean {
  const { origin } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') return false;
  if (origin === undefined || origin === 'null') return site === 'same-origin';
  return origins.has(origin);
}
