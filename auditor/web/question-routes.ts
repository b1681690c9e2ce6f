/**
 * From the catalogue to a question that is asked. What was asked is kept in the session under an id that says nothing:
 * no address, no history and no log of a proxy holds whom a question was about.
 */
import type { FastifyInstance } from 'fastify';
import type { Asked } from '../answer.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { fieldsOf, partOf, sendPage, type Door, type SignedIn } from './door.ts';
import { messagePage } from './message-page.ts';
import type { Page } from './page.ts';
import type { Question } from '../questions/question.ts';
import type { WebPorts } from './ports.ts';
import { cataloguePage, formPage, type Fault, type Typed } from './question-pages.ts';
import { keepAnswer, type Session } from './sessions.ts';
import { formatLocal, parseLocal, rangeOf, ZONES, type Range } from './times.ts';

/** Adds the routes. */
export function addQuestionRoutes(app: FastifyInstance, door: Door, { nowMs }: WebPorts): void {
  app.get(
    '/',
    door.signedIn(async (visit, _request, reply) => {
      const { auditor, tenants } = visit.session;
      return sendPage(reply, visit, cataloguePage(auditor.catalogue, tenants));
    }),
  );

  app.get(
    '/questions/:id',
    door.signedIn(async (visit, request, reply) => {
      const { session } = visit;
      const question = questionOf(session, partOf(request, 'id'));
      if (question === null) return sendPage(reply, visit, NO_QUESTION, 404);
      return sendPage(reply, visit, askAgain(visit, question, freshForm(session, nowMs()), null));
    }),
  );

  app.get(
    '/answers/:id/change',
    door.signedIn(async (visit, request, reply) => {
      const asked = visit.session.answers.get(partOf(request, 'id'))?.asked;
      const question = asked === undefined ? null : questionOf(visit.session, asked.question);
      if (asked === undefined || question === null) return sendPage(reply, visit, NO_ANSWER, 404);
      return sendPage(reply, visit, askAgain(visit, question, typedOf(asked), null));
    }),
  );

  app.post(
    '/ask',
    door.form(async (visit, request, reply) => {
      const fields = fieldsOf(request);
      const question = questionOf(visit.session, fields.get('question') ?? '');
      if (question === null) return sendPage(reply, visit, NO_QUESTION, 404);
      const typed = readForm(fields, question);
      const asked = askedOf(question, typed, nowMs());
      if (!asked.ok)
        return sendPage(reply, visit, askAgain(visit, question, typed, asked.error), 422);
      const answer = keepAnswer(visit.session, asked.value);
      return reply.redirect(`/answers/${answer.id}`, 303);
    }),
  );
}

export const NO_ANSWER: Page = messagePage(
  'This answer is gone',
  'Answers last as long as the session in which they were asked. Ask the question again.',
);
const NO_QUESTION = messagePage('There is no such question', 'The catalogue lists all there are.');

/** The form again, with what is wrong with it. */
export function askAgain(
  { session, context }: SignedIn,
  question: Question,
  typed: Typed,
  fault: Fault | null,
): Page {
  return formPage(context, question, session.tenants, typed, fault);
}

export function questionOf({ auditor }: Session, id: string): Question | null {
  return auditor.catalogue.find((one) => one.id === id) ?? null;
}

function freshForm({ tenants }: Session, nowMs: number): Typed {
  const range = rangeOf('month', nowMs, 'UTC') ?? { since: '', until: '' };
  const [tenant = ''] = tenants;
  return {
    ...localRange(range, 'UTC'),
    tenant,
    preset: 'month',
    zone: 'UTC',
    parameters: {},
    isFresh: true,
  };
}

/** What the form of a question that was asked holds. */
export function typedOf({ tenant, timeZone, parameters, ...range }: Asked): Typed {
  const local = localRange(range, timeZone);
  return { ...local, tenant, preset: 'custom', zone: timeZone, parameters, isFresh: false };
}

function localRange({ since, until }: Range, zone: string): Range {
  return { since: formatLocal(since, zone), until: formatLocal(until, zone) };
}

function readForm(fields: URLSearchParams, { parameters }: Question): Typed {
  const of = (name: string): string => fields.get(name)?.trim() ?? '';
  return {
    tenant: of('tenant'),
    preset: of('preset'),
    since: of('since'),
    until: of('until'),
    zone: of('zone'),
    parameters: Object.fromEntries(parameters.map(({ name }) => [name, of(`p.${name}`)])),
    isFresh: false,
  };
}

function askedOf(question: Question, typed: Typed, nowMs: number): Result<Asked, Fault> {
  const { tenant, preset, zone } = typed;
  if (!ZONES.has(zone)) return err({ field: 'zone', message: 'There is no such time zone' });
  for (const { name, title, ...parameter } of question.parameters)
    if (parameter.default === undefined && typed.parameters[name] === '')
      return err({ field: name, message: `${title} is missing` });
  const range = rangeOf(preset, nowMs, zone) ?? customRange(typed);
  if ('message' in range) return err(range);
  return ok({
    question: question.id,
    tenant,
    ...range,
    timeZone: zone,
    // What was left empty has its default.
    parameters: Object.fromEntries(
      Object.entries(typed.parameters).filter(([, value]) => value !== ''),
    ),
  });
}

function customRange({ since, until, zone }: Typed): Range | Fault {
  const [from, to] = [parseLocal(since, zone), parseLocal(until, zone)];
  if (from === null) return { field: 'since', message: 'From is no time' };
  if (to === null) return { field: 'until', message: 'Until is no time' };
  if (from >= to) return { field: 'until', message: 'Until must be after From' };
  return { since: from, until: to };
}
