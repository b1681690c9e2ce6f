/**
 * Answers of a session: pages of rows, one event, and the parts that are made apart since they take more than one
 * query: certificate, timeline, proof. The script of a page fetches those; without it they are pages.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AnswerPage, AskError, RecordOfRow } from '../answer.ts';
import type { Auditor } from '../ask.ts';
import { rehash } from '../../ledger/content-check.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { answerPage, drawHead } from './answer-page.ts';
import { refuse, type AnswerGet } from './answers.ts';
import { drawCertificate, drawNoCertificate } from './certificate-view.ts';
import { drawNoTimeline, drawTimeline } from './chart.ts';
import { partOf, sendPage, type SignedIn } from './door.ts';
import { eventPage } from './event-page.ts';
import { flat } from './files.ts';
import { html, type Html } from './html.ts';
import { messagePage } from './message-page.ts';
import type { WebPorts } from './ports.ts';
import { readProofPath } from './proof-path.ts';
import { drawNoProof, drawProof } from './proof-view.ts';
import { questionOf } from './question-routes.ts';
import type { Answer, Kept } from './sessions.ts';
import { countRows, type Timeline } from './timeline.ts';
import { createTurns, type Turns } from './turns.ts';

const PAGE_ROWS = 50;

/** Adds the routes; certificates take their turn among the other long work of a person. */
export function addAnswerRoutes(get: AnswerGet, turns: Turns, ports: WebPorts): void {
  const { certify, bundleOf, bundleKey, proofOf, trust } = ports;
  // Not behind certificates, which take their time.
  const glances = createTurns();

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
    const bundle = bundleOf === null ? null : { key: bundleKey };
    const rest = { rowsBefore: number * PAGE_ROWS, bundle };
    return sendPage(reply, visit, answerPage({ ...view, ...rest }));
  }

  /** A route of one event of a page. */
  const ofEvent = (
    path: string,
    show: (
      record: RecordOfRow,
      ...rest: Parameters<Parameters<AnswerGet>[1]>
    ) => Promise<FastifyReply>,
  ): void =>
    get(`/pages/:number/events/:event${path}`, async (visit, answer, request, reply) => {
      const page = await readPage(visit, answer, Number(partOf(request, 'number')));
      if (page === null) return sendPage(reply, visit, NO_PAGE, 404);
      if (!page.ok) return refuse(visit, answer, page.error, reply);
      const id = partOf(request, 'event');
      const record = page.value.rows.find((row) => row.record?.event_id === id)?.record;
      if (record === undefined || record === null) return sendPage(reply, visit, NO_EVENT, 404);
      return show(record, visit, answer, request, reply);
    });

  ofEvent('', async (record, visit, { id: answerId, asked }, request, reply) => {
    const isWhole = rehash(record.prev_hash, record.event_bytes) === record.this_hash;
    const pageNumber = Number(partOf(request, 'number'));
    const view = { answerId, pageNumber, asked, record, isWhole, hasProofs: proofOf !== null };
    return sendPage(reply, visit, eventPage(view));
  });

  // Made apart, in its turn: for an old event the whole ledger is read.
  if (proofOf !== null)
    ofEvent('/proof', async (record, visit, answer, request, reply) => {
      const { person } = visit.session;
      const made = await glances.take(person.name, () => proofOf(record.event_id));
      const part = made.ok
        ? drawProof(readProofPath(made.value, record, trust))
        : drawNoProof(`There is no proof for it: ${made.error}.`);
      return sendPart(visit, answer, 'Its way to a signed checkpoint', part, request, reply);
    });

  get('/certificate', async (visit, answer, request, reply) => {
    const { login, person } = visit.session;
    const made = await keep(answer.certificate, () =>
      turns.take(person.name, () => certify(login, answer.asked)),
    );
    const part = made.ok ? drawCertificate(made.value) : drawNoCertificate(made.error);
    return sendPart(visit, answer, 'Certificate', part, request, reply);
  });

  get('/timeline', async (visit, answer, request, reply) => {
    const { auditor, person } = visit.session;
    const made = await keep(answer.timeline, () =>
      glances.take(person.name, () => countAnswer(auditor, answer)),
    );
    const zone = answer.asked.timeZone;
    const part = made.ok ? drawTimeline(made.value, zone) : drawNoTimeline(made.error);
    return sendPart(visit, answer, 'Timeline', part, request, reply);
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

/** What is made once, or was being made already. */
async function keep<T>(
  kept: Kept<T>,
  make: () => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  kept.made ??= make();
  let isMade = false;
  try {
    const made = await kept.made;
    isMade = made.ok;
    return made;
  } finally {
    if (!isMade) kept.made = null;
  }
}

async function countAnswer(
  auditor: Auditor,
  { asked }: Answer,
): Promise<Result<Timeline | null, string>> {
  const stream = await auditor.stream(asked);
  if (!stream.ok) return err(stream.error.message);
  const { columns, batches } = stream.value;
  try {
    return ok(await countRows(asked, columns, flat(batches)));
  } catch (error) {
    return err(`the store does not answer: ${messageOf(error)}`);
  }
}

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
