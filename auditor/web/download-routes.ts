/**
 * What is taken away from an answer: its rows as files, its sealed records for the check in a browser, its evidence
 * bundle. A download is part of its session: it ends with it, and whoever takes rows uses it.
 */
import { addAbortSignal, Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { codeOf, messageOf } from '../../schemas/result.ts';
import type { AnswerRow, Column } from '../answer.ts';
import type { AnswerStream } from '../ask.ts';
import { goneOf, refuse, type AnswerGet } from './answers.ts';
import { sendPage } from './door.ts';
import { writeCsv, writeNdjson, writeRecords } from './files.ts';
import { messagePage } from './message-page.ts';
import { createPlaces } from './places.ts';
import type { WebPorts } from './ports.ts';
import type { Session, Sessions } from './sessions.ts';
import type { Turns } from './turns.ts';

type Write = (columns: readonly Column[], rows: AsyncIterable<AnswerRow>) => AsyncIterable<string>;

/** Adds the routes; bundles take their turn among the other long work of a person. */
export function addDownloadRoutes(
  get: AnswerGet,
  sessions: Pick<Sessions, 'use'>,
  turns: Turns,
  { bundleOf, log }: Pick<WebPorts, 'bundleOf' | 'log'>,
): void {
  const places = createPlaces();

  async function* rowsOf(session: Session, { batches }: AnswerStream): AsyncGenerator<AnswerRow> {
    try {
      for await (const batch of batches) {
        sessions.use(session);
        yield* batch;
      }
    } catch (error) {
      // The browser only sees that the file breaks off.
      log.error({ code: codeOf(error), message: messageOf(error) }, 'a download broke off');
      throw error;
    }
  }

  const file = (path: string, type: string, write: Write): void =>
    get(path, async (visit, answer, _request, reply) => {
      const { session } = visit;
      const leave = places.take(session.person.name);
      if (leave === null) return sendPage(reply, visit, TOO_MANY, 429);
      reply.raw.once('close', leave);
      const stream = await session.auditor.stream(answer.asked);
      if (!stream.ok) return refuse(visit, answer, stream.error, reply);
      if (path.includes('.'))
        attach(reply, `${answer.asked.question}${path.replace(/^.*\./, '.')}`);
      const text = Readable.from(write(stream.value.columns, rowsOf(session, stream.value)));
      return reply.type(type).send(addAbortSignal(session.ending.signal, text));
    });
  file('/export.csv', 'text/csv; charset=utf-8', writeCsv);
  file('/export.ndjson', 'application/x-ndjson; charset=utf-8', writeNdjson);
  file('/records', 'application/x-ndjson; charset=utf-8', (_, rows) => writeRecords(rows));

  if (bundleOf === null) return;
  get('/bundle.zip', async (visit, answer, _request, reply) => {
    const { login, person, ending } = visit.session;
    const signal = goneOf(visit, reply);
    const made = await turns.take(person.name, () => bundleOf(login, answer.asked, { signal }));
    if (!made.ok)
      return sendPage(reply, visit, messagePage('No bundle was made', `${made.error}.`), 503);
    attach(reply, `${answer.asked.question}.zip`);
    return reply.type('application/zip').send(addAbortSignal(ending.signal, made.value));
  });
}

const TOO_MANY = messagePage(
  'One after the other',
  'You are taking three files already: wait for one of them.',
);

function attach(reply: FastifyReply, name: string): void {
  void reply.header('content-disposition', `attachment; filename="sealtrail-${name}"`);
}
