/** One record, wherever it was found: what it says, and its way to a signed checkpoint, which is made apart, in its turn. */
import type { FastifyReply } from 'fastify';
import { rehash } from '../../ledger/content-check.ts';
import type { RecordOfRow } from '../answer.ts';
import { sendPart, type AnswerGet } from './answers.ts';
import { partOf, sendPage } from './door.ts';
import { eventPage } from './event-page.ts';
import type { WebPorts } from './ports.ts';
import { readProofPath } from './proof-path.ts';
import { drawNoProof, drawProof } from './proof-view.ts';
import type { Turns } from './turns.ts';

type Visited = Parameters<Parameters<AnswerGet>[1]>;
/** The record that an address is about; or what was answered in its place. */
export type FindRecord = (...visited: Visited) => Promise<RecordOfRow | FastifyReply>;

export interface EventShows {
  /** Adds the routes of one record below an answer's address; `back`: where one comes from. */
  add(get: AnswerGet, path: string, back: string, find: FindRecord): void;
}

/** Creates them; for an old event the whole ledger is read. */
export function createEventShows(
  turns: Turns,
  { proofOf, trust }: Pick<WebPorts, 'proofOf' | 'trust'>,
): EventShows {
  return {
    add(get, path, back, find) {
      const show = (
        below: string,
        send: (record: RecordOfRow, ...visited: Visited) => Promise<FastifyReply>,
      ): void =>
        get(`${path}${below}`, async (...visited) => {
          const found = await find(...visited);
          return 'this_hash' in found ? send(found, ...visited) : found;
        });

      show('', async (record, visit, { id, asked }, request, reply) => {
        const isWhole = rehash(record.prev_hash, record.event_bytes) === record.this_hash;
        const proof = proofOf === null ? null : `${request.url.replace(/\?.*/, '')}/proof`;
        const from = back.replace(/:(\w+)/g, (_, name: string) => partOf(request, name));
        const view = { back: `/answers/${id}${from}`, proof, asked, record, isWhole };
        return sendPage(reply, visit, eventPage(view));
      });

      if (proofOf !== null)
        show('/proof', async (record, visit, answer, request, reply) => {
          const { person } = visit.session;
          const made = await turns.take(person.name, () => proofOf(record.event_id));
          const part = made.ok
            ? drawProof(readProofPath(made.value, record, trust))
            : drawNoProof(`There is no proof for it: ${made.error}.`);
          return sendPart(visit, answer, 'Its way to a signed checkpoint', part, request, reply);
        });
    },
  };
}
