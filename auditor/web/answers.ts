/** What all routes of an answer share: it is one of the session, or there is none; and what is said when it is not given. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AskError } from '../answer.ts';
import { drawHead } from './answer-page.ts';
import { partOf, sendPage, type Door, type SignedIn } from './door.ts';
import { html, type Html } from './html.ts';
import { messagePage } from './message-page.ts';
import { askAgain, NO_ANSWER, questionOf, typedOf } from './question-routes.ts';
import type { Answer } from './sessions.ts';

export type AnswerHandler = (
  visit: SignedIn,
  answer: Answer,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply>;

/** Adds a route below an answer's address. */
export type AnswerGet = (path: string, handler: AnswerHandler) => void;

/** Creates that. */
export function createAnswerGet(app: FastifyInstance, door: Door): AnswerGet {
  return (path, handler) => {
    app.get(
      `/answers/:id${path}`,
      door.signedIn(async (visit, request, reply) => {
        const answer = visit.session.answers.get(partOf(request, 'id'));
        if (answer === undefined) return sendPage(reply, visit, NO_ANSWER, 404);
        return handler(visit, answer, request, reply);
      }),
    );
  };
}

/** Why there is no answer; a question that is wrong stands in its form again. */
export function refuse(
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

/** Aborted when whoever asked has left before the answer was sent, or the session has ended. */
export function goneOf({ session }: SignedIn, reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort();
  });
  return AbortSignal.any([gone.signal, session.ending.signal]);
}

/** Answers with a part of a page; whoever has no script gets a page of its own. */
export function sendPart(
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
