/**
 * The certificate of an answer: made once, in its turn among the other long work of a person, for as long as somebody waits
 * for it; how far it is; and the records that its findings are about, also such as are no rows.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Certificate } from '../certificate/certificate.ts';
import type { Result } from '../../schemas/result.ts';
import type { RecordOfRow } from '../answer.ts';
import { goneOf, refuse, sendPart, type AnswerGet } from './answers.ts';
import { drawCertificate, drawNoCertificate } from './certificate-view.ts';
import { partOf, sendPage, type SignedIn } from './door.ts';
import type { EventShows } from './event-shows.ts';
import { messagePage } from './message-page.ts';
import { digestPages } from './page-digests.ts';
import type { WebPorts } from './ports.ts';
import type { Answer } from './sessions.ts';
import type { Turns } from './turns.ts';

/** Adds the routes. */
export function addCertificateRoutes(
  get: AnswerGet,
  turns: Turns,
  shows: EventShows,
  { certify }: Pick<WebPorts, 'certify'>,
): void {
  function certificateOf(
    visit: SignedIn,
    answer: Answer,
    reply: FastifyReply,
  ): Promise<Result<Certificate, string>> {
    const { asked, certificate, progress } = answer;
    const { login, person } = visit.session;
    const onProgress = (records: number): void => void (progress.records = records);
    const make = (signal: AbortSignal): Promise<Result<Certificate, string>> => {
      onProgress(0);
      return turns.take(person.name, async () => {
        const pages = digestPages();
        const onRow = (_: unknown, line: string): void => pages.take(line);
        const made = await certify(login, asked, { signal, onProgress, onRow });
        answer.certified = pages.conclude();
        return made;
      });
    };
    return certificate.get(make, goneOf(visit, reply));
  }

  get('/certificate', async (visit, answer, request, reply) => {
    const made = await certificateOf(visit, answer, reply);
    const others = [...answer.shown].filter(([at, digest]) => answer.certified[at] !== digest);
    // Another one may be about these rows.
    if (made.ok && others.length > 0) answer.certificate.forget();
    const numbers = others.map(([at]) => at + 1);
    const part = made.ok
      ? drawCertificate(made.value, answer.id, numbers)
      : drawNoCertificate(made.error);
    return sendPart(visit, answer, 'Certificate', part, request, reply);
  });

  get('/certificate/progress', async (_visit, { progress }, _request, reply) =>
    reply.type('text/plain; charset=utf-8').send(progress.records.toLocaleString('en-US')),
  );

  /** The record that a finding is about. */
  async function findFound(
    visit: SignedIn,
    answer: Answer,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<RecordOfRow | FastifyReply> {
    const made = await certificateOf(visit, answer, reply);
    const finding = made.ok ? made.value.findings[Number(partOf(request, 'finding'))] : undefined;
    if (finding === undefined) return sendPage(reply, visit, NO_FINDING, 404);
    const found = await visit.session.auditor.record(answer.asked, finding);
    if (!found.ok) return refuse(visit, answer, found.error, reply);
    return found.value ?? sendPage(reply, visit, NO_RECORD, 404);
  }
  shows.add(get, '/findings/:finding', '', findFound);
}

const NO_FINDING = messagePage(
  'There is no such finding',
  'The certificate of the answer lists all there are. Look at the answer again.',
);
const NO_RECORD = messagePage(
  'There is no record in that place',
  'The store has none there that your login may see. Where the finding says that one was removed, this is what it looks like.',
);
