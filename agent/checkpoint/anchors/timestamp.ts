/**
 * A time-stamping authority as an anchor (RFC 3161): it states that the note was there at a time, and keeps
 * nothing. So it can tell of no fork, and a start cannot ask it.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { TimestampAnchorConfig } from '../../../schemas/anchor-config.ts';
import { messageOf, ok } from '../../../schemas/result.ts';
import type { Anchor } from './anchor.ts';
import { describeStatus, refused, request } from './http.ts';
import { formatRequest, parseReply, verifyToken } from './timestamp-token.ts';

const NONCE_BYTES = 8;

/** Creates the anchor of an authority. */
export function createTimestampAnchor(config: TimestampAnchorConfig): Anchor {
  const name = `timestamp/${config.name}`;
  return {
    name,
    publish: async ({ note }, signal) => {
      const bytes = Buffer.from(note);
      const nonce = randomBytes(NONCE_BYTES);
      // A positive number in its shortest form.
      nonce[0] = ((nonce[0] ?? 0) & 0x7f) | 0x40;
      const answer = await request(
        {
          url: new URL(config.url),
          tls: config.tls,
          method: 'POST',
          headers: { 'content-type': 'application/timestamp-query' },
          body: formatRequest(bytes, nonce),
        },
        signal,
      );
      if (!answer.ok) return answer;
      if (answer.value.status !== 200)
        return { ok: false, error: describeStatus(answer.value.status) };
      const token = parseReply(answer.value.bytes);
      if (!token.ok) return refused(token.error);
      let authorities: string;
      try {
        authorities = await readFile(config.ca_file, 'utf8');
      } catch (error) {
        return refused(`its authorities cannot be read: ${messageOf(error)}`);
      }
      const time = await verifyToken(token.value, bytes, authorities, nonce);
      if (!time.ok) return refused(time.error);
      return ok({
        kind: 'timestamp',
        anchor: name,
        time: time.value.toISOString(),
        token: token.value.toString('base64'),
      });
    },
    newest: null,
    close: () => Promise.resolve(),
  };
}
