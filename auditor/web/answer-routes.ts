/**
 * Answers of a session: pages of rows, one event, and the parts that are made apart since they take more than one
 * query: the certificate, the timeline, the files. The script of a page fetches those; without it they are pages.
 */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AnswerPage, AnswerRow, AskError, Column } from '../answer.ts';
import type { AnswerStream } from '../ask.ts';
import { rehash } from '../../ledger/content-check.ts';
import type { Result } from '../../schemas/result.ts';
import { answerPage, drawHead } from './answer-page.ts';
import { drawCertificate, drawNoCertificate } from './certificate-view.ts';
import { drawTimeline } from './chart.ts';
import { partOf, sendPage, type Door, type SignedIn } from './door.ts';
import { eventPage } from './event-page.ts';
import { flat, writeCsv, writeNdjson, writeRecords } from './files.ts';
import { html, type Html } from './html.ts';
import { messagePage } from './message-page.ts';
import type { WebPorts } from './ports.ts';
import { readProofPath, type ProofView } from './proof-path.ts';
import { askAgain, NO_ANSWER, questionOf, typedOf } from './question-routes.ts';
import type { Answer } from './sessions.ts';
import { countRows, type Timeline } from './timeline.ts';
import { createTurns } from './turns.ts';

const PAGE_ROWS = 50;

type AnswerHandler = (
  visit: SignedIn,
  answer: Answer,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply>;

/** Adds the routes. */
export function addAnswerRoutes(app: FastifyInstance, door: Door, ports: WebPorts): void {
  const { certify, bundleOf, proofOf, trust } = ports;
  const turns = createTurns();
  const get = (path: string, handler: AnswerHandler): void => {
    app.get(
      `/answers/:id${path}`,
      door.signedIn(async (visit, request, reply) => {
        const answer = visit.session.answers.get(partOf(request, 'id'));
        if (answer === undefined) return sendPage(reply, visit, NO_ANSWER, 404);
        return handler(visit, answer, request, reply);
      }),
    );
  };

  get('', (visit, answer, _request, reply) => showPage(visit, answer, 0, reply));
  get('/pages/:number', (visit, answer, request, reply) =>
    showPage(visit, answer, Number(partOf(request, 'number')), reply),
  );

  async function showPage(
    visit: SignedIn,
    answer: Answer,
    number: number,
    reply: FastifyReply,
  ): Promise<FastifyReply> {
    const { id, asked } = answer;
    const question = questionOf(visit.session, asked.question);
    const page = await readPage(visit, answer, number);
    if (page === null || question === null) return sendPage(reply, visit, NO_PAGE, 404);
    if (!page.ok) return refuse(visit, answer, page.error, reply);
    const view = { id, question, asked, page: page.value, number };
    const rest = { rowsBefore: number * PAGE_ROWS, hasBundle: bundleOf !== null };
    return sendPage(reply, visit, answerPage({ ...view, ...rest }));
  }

  get('/pages/:number/events/:event', async (visit, answer, request, reply) => {
    const number = Number(partOf(request, 'number'));
    const page = await readPage(visit, answer, number);
    if (page === null) return sendPage(reply, visit, NO_PAGE, 404);
    if (!page.ok) return refuse(visit, answer, page.error, reply);
    const eventId = partOf(request, 'event');
    const record = page.value.rows.find((row) => row.record?.event_id === eventId)?.record;
    if (record === undefined || record === null) return sendPage(reply, visit, NO_EVENT, 404);
    const isWhole = rehash(record.prev_hash, record.event_bytes) === record.this_hash;
    let proof: ProofView = { kind: 'none', sentence: NO_FILES };
    if (proofOf !== null) {
      const made = await proofOf(eventId);
      proof = made.ok
        ? readProofPath(made.value, record, trust)
        : { kind: 'none', sentence: `There is no proof for it: ${made.error}.` };
    }
    const { id: answerId, asked } = answer;
    const view = { answerId, pageNumber: number, asked, record, isWhole, proof };
    return sendPage(reply, visit, eventPage(view));
  });

  get('/certificate', async (visit, answer, request, reply) => {
    const { login, person } = visit.session;
    // What could not be made is tried again when somebody asks again.
    answer.certificate ??= turns
      .take(person.name, () => certify(login, answer.asked))
      .catch((error: unknown) => {
        answer.certificate = null;
        throw error;
      });
    const made = await answer.certificate;
    if (!made.ok) answer.certificate = null;
    const part = made.ok ? drawCertificate(made.value) : drawNoCertificate(made.error);
    return sendPart(visit, answer, 'Certificate', part, request, reply);
  });

  get('/timeline', async (visit, answer, request, reply) => {
    const stream =
      answer.timeline === null ? await visit.session.auditor.stream(answer.asked) : null;
    if (stream !== null && !stream.ok) return refuse(visit, answer, stream.error, reply);
    if (stream !== null)
      answer.timeline = countStream(answer, stream.value).catch((error: unknown) => {
        answer.timeline = null;
        throw error;
      });
    const drawn = drawTimeline(await answer.timeline, answer.asked.timeZone);
    return sendPart(visit, answer, 'Timeline', drawn, request, reply);
  });

  const download = (
    path: string,
    type: string,
    write: (columns: readonly Column[], rows: AsyncIterable<AnswerRow>) => AsyncIterable<string>,
  ): void =>
    get(path, async (visit, answer, _request, reply) => {
      const stream = await visit.session.auditor.stream(answer.asked);
      if (!stream.ok) return refuse(visit, answer, stream.error, reply);
      const { columns, batches } = stream.value;
      const name = `${answer.asked.question}${path.slice(path.indexOf('.'))}`;
      if (path.includes('.')) attach(reply, name);
      return reply.type(type).send(Readable.from(write(columns, flat(batches))));
    });
  download('/export.csv', 'text/csv; charset=utf-8', writeCsv);
  download('/export.ndjson', 'application/x-ndjson; charset=utf-8', writeNdjson);
  download('/records', 'application/x-ndjson; charset=utf-8', (_, rows) => writeRecords(rows));

  if (bundleOf !== null)
    get('/bundle.zip', async (visit, answer, _request, reply) => {
      const { login, person } = visit.session;
      const made = await turns.take(person.name, () => bundleOf(login, answer.asked));
      if (!made.ok)
        return sendPage(reply, visit, messagePage('No bundle was made', `${made.error}.`), 503);
      attach(reply, `${answer.asked.question}.zip`);
      return reply.type('application/zip').send(made.value);
    });
}

const NO_PAGE = messagePage(
  'There is no such page',
  'Pages open one after the other: begin with the first one of the answer.',
);
const NO_EVENT = messagePage(
  'That event is not on the page any more',
  'The answer has changed since. Look at the page again.',
);
const NO_FILES =
  'This server has no access to the files of the agent that sealed it. With them, `sealtrail prove` shows its way to a signed checkpoint.';

/** A page of rows; null where the one before it was not looked at. */
async function readPage(
  { session }: SignedIn,
  { asked, cursors }: Answer,
  number: number,
): Promise<Result<AnswerPage, AskError> | null> {
  const cursor = cursors[number];
  if (cursor === undefined) return null;
  const page = await session.auditor.ask(asked, {
    limit: PAGE_ROWS,
    ...(cursor === null ? {} : { cursor }),
  });
  if (page.ok && page.value.next !== null) cursors[number + 1] = page.value.next;
  return page;
}

/** Why there is no answer; a question that is wrong stands in its form again. */
function refuse(
  visit: SignedIn,
  { asked }: Answer,
  error: AskError,
  reply: FastifyReply,
): FastifyReply {
  const question = questionOf(visit.session, asked.question);
  if (error.kind === 'invalid' && question !== null) {
    // As it is said on the command line, --name first; here the title stands for it.
    const field = question.parameters.find(({ name }) => name === error.parameter);
    const message = error.message.replace(/^--\S+/, field?.title ?? 'It');
    const fault = { message, field: error.parameter };
    return sendPage(reply, visit, askAgain(visit, question, typedOf(asked), fault), 422);
  }
  const [title, status] = REFUSALS[error.kind];
  return sendPage(reply, visit, messagePage(title, `${error.message}.`), status);
}

const REFUSALS: Readonly<Record<AskError['kind'], readonly [title: string, status: number]>> = {
  forbidden: ['That is not yours to see', 403],
  invalid: ['The question is not in that form', 422],
  unavailable: ['The store does not answer', 503],
};

function sendPart(
  visit: SignedIn,
  { id, asked }: Answer,
  title: string,
  part: Html,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (request.headers['sec-fetch-dest'] === 'empty')
    return reply.type('text/html; charset=utf-8').send(part.markup);
  const question = questionOf(visit.session, asked.question);
  const head = question !== null && drawHead(id, question, asked);
  const body = html`${head}${part}
    <p><a class="button quiet" href="/answers/${id}">Back to the answer</a></p>`;
  return sendPage(reply, visit, { title, at: 'questions', body });
}

function countStream(
  { asked }: Answer,
  { columns, batches }: AnswerStream,
): Promise<Timeline | null> {
  return countRows(asked, columns, flat(batches));
}

function attach(reply: FastifyReply, name: string): void {
  void reply.header('content-disposition', `attachment; filename="sealtrail-${name}"`);
}
