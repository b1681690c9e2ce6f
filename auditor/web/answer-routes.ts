/**
 * Answers of a session: pages of rows, one event, and the parts that are made apart since they take more than one
 * query: certificate, timeline, proof. The script of a page fetches those; without it they are pages.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AnswerPage, AskError, RecordOfRow } from '../answer.ts';
import type { Auditor } from '../ask.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { answerPage } from './answer-page.ts';
import { goneOf, refuse, sendPart, type AnswerGet } from './answers.ts';
import { addCertificateRoutes } from './certificate-routes.ts';
import { drawNoTimeline, drawTimeline } from './chart.ts';
import { partOf, sendPage, type SignedIn } from './door.ts';
import { createEventShows } from './event-shows.ts';
import { flat } from './files.ts';
import { messagePage } from './message-page.ts';
import { digestPage, PAGE_ROWS } from './page-digests.ts';
import type { WebPorts } from './ports.ts';
import { questionOf } from './question-routes.ts';
import type { Answer } from './sessions.ts';
import { countRows, type Timeline } from './timeline.ts';
import { createTurns, type Turns } from './turns.ts';

/** Adds the routes. */
export function addAnswerRoutes(get: AnswerGet, turns: Turns, ports: WebPorts): void {
  const { bundleOf, bundleKey } = ports;
  // Not behind certificates, which take their time.
  const glances = createTurns();
  const shows = createEventShows(glances, ports);

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
    answer.shown.set(number, digestPage(page.value, number));
    const view = { id, question, asked, page: page.value, number };
    const bundle = bundleOf === null ? null : { key: bundleKey };
    const rest = { rowsBefore: number * PAGE_ROWS, bundle };
    return sendPage(reply, visit, answerPage({ ...view, ...rest }));
  }

  /** The record of an event that stands on a page. */
  async function findOnPage(
    visit: SignedIn,
    answer: Answer,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<RecordOfRow | FastifyReply> {
    const page = await readPage(visit, answer, Number(partOf(request, 'number')));
    if (page === null) return sendPage(reply, visit, NO_PAGE, 404);
    if (!page.ok) return refuse(visit, answer, page.error, reply);
    const id = partOf(request, 'event');
    const record = page.value.rows.find((row) => row.record?.event_id === id)?.record;
    return record ?? sendPage(reply, visit, NO_EVENT, 404);
  }
  shows.add(get, '/pages/:number/events/:event', '/pages/:number', findOnPage);
  addCertificateRoutes(get, turns, shows, ports);

  get('/timeline', async (visit, answer, request, reply) => {
    const { auditor, person } = visit.session;
    const count = (): Promise<Result<Timeline | null, string>> => countAnswer(auditor, answer);
    const made = await answer.timeline.get(
      () => glances.take(person.name, count),
      goneOf(visit, reply),
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
