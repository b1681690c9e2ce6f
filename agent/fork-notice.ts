/**
 * What a gateway tells agents: a place of a chain is taken by another record than the one that came, so
 * somebody else lives on a copy of the ledger. It goes on PREFIX_forks.TENANT, which no stream takes in. Nobody
 * keeps a notice for an agent that is away: each record that is refused is told again.
 */
import { memberOf, readJson } from '../schemas/untrusted-json.ts';
import type { Fork } from './ports.ts';

/** `tenant` is its token (nats-subject.ts). */
export function forkSubject(prefix: string, tenant: string): string {
  return `${prefix}_forks.${tenant}`;
}

const STREAM_LENGTH_MAX = 512;
const REASON_LENGTH_MAX = 1_000;

/** The notice as it is sent. */
export function formatForkNotice({ stream, reason }: Fork): string {
  return JSON.stringify({ stream, reason });
}

/** Reads a notice; null where it is none. */
export function parseForkNotice(text: string): Fork | null {
  const value = readJson(text);
  const [stream, reason] = ['stream', 'reason'].map((name) => memberOf(value, name));
  if (typeof stream !== 'string' || stream.length > STREAM_LENGTH_MAX) return null;
  // It goes on record.
  return typeof reason === 'string' ? { stream, reason: reason.slice(0, REASON_LENGTH_MAX) } : null;
}
