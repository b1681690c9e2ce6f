/**
 * Who is signed in: a random id in the browser, its hash here, in memory alone. A session holds the database login of
 * its person and what was asked in it, so that no address of a page has to name anybody. It ends by sign-out, after
 * some idle time, after some hours whatever happens, and when the person signs in too often.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Asked } from '../answer.ts';
import type { Auditor } from '../ask.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { createKept, type Kept } from './kept.ts';
import type { Login, SessionLimits } from './ports.ts';
import type { Timeline } from './timeline.ts';

export interface Person {
  readonly name: string;
  /** May see the agent's health. */
  readonly isOperator: boolean;
}

/** A question that was asked, under an id that says nothing. */
export interface Answer {
  readonly id: string;
  readonly asked: Asked;
  /** Where each page begins; null: at the start. Grows as they are looked at. */
  readonly cursors: (string | null)[];
  readonly certificate: Kept<Certificate>;
  /** Records that were read for it so far. */
  readonly progress: { records: number };
  /** Digests of the pages that were looked at, by number; and of those of the certified answer. */
  readonly shown: Map<number, string>;
  certified: readonly string[];
  /** Null: its rows have no time. */
  readonly timeline: Kept<Timeline | null>;
}

export interface Session {
  readonly id: string;
  readonly person: Person;
  readonly login: Login;
  readonly auditor: Auditor;
  readonly tenants: readonly string[];
  readonly answers: Map<string, Answer>;
  readonly startedMs: number;
  usedMs: number;
  /** Aborted when it ends: nothing is read in it any longer. */
  readonly ending: AbortController;
}

export interface Sessions {
  /** Begins one under a new id; it closes the auditor when it ends. */
  begin(of: Pick<Session, 'person' | 'login' | 'auditor' | 'tenants'>): Session;
  /** The session of an id, if it has not ended; it counts as used. */
  find(id: string | undefined): Session | null;
  /** It counts as used, also without a request: something is read in it. */
  use(session: Session): void;
  end(session: Session): void;
  /** Ends those whose time is over, and hangs up the store's connections that nobody has used of late. */
  sweep(): void;
  endAll(): void;
}

const OF_ONE_PERSON_MAX = 5;
const ANSWERS_MAX = 100;
/** Longer than a page's statement may take: the next question connects anew. */
const CONNECTED_MS = 2 * 60_000;

/** Creates an empty set. */
export function createSessions(limits: SessionLimits, nowMs: () => number): Sessions {
  const byHash = new Map<string, Session>();

  function end(session: Session): void {
    if (!byHash.delete(hashOf(session.id))) return;
    session.ending.abort();
    session.auditor.close();
  }

  function use(session: Session): void {
    session.usedMs = nowMs();
  }

  const isOver = ({ startedMs, usedMs }: Session): boolean =>
    nowMs() - usedMs >= limits.idleMs || nowMs() - startedMs >= limits.lifeMs;

  function sweep(): void {
    for (const session of [...byHash.values()])
      if (isOver(session)) end(session);
      else if (nowMs() - session.usedMs >= CONNECTED_MS) session.auditor.close();
  }

  return {
    use,
    end,
    sweep,
    begin(of) {
      sweep();
      const others = [...byHash.values()].filter(({ person }) => person.name === of.person.name);
      for (const oldest of others.slice(0, Math.max(0, others.length - OF_ONE_PERSON_MAX + 1)))
        end(oldest);
      const id = randomId();
      const at = nowMs();
      const session: Session = {
        ...of,
        ...{ id, answers: new Map(), startedMs: at, usedMs: at, ending: new AbortController() },
      };
      byHash.set(hashOf(id), session);
      return session;
    },
    find(id) {
      const session = id === undefined ? undefined : byHash.get(hashOf(id));
      if (session === undefined) return null;
      if (isOver(session)) {
        end(session);
        return null;
      }
      use(session);
      return session;
    },
    endAll() {
      for (const session of [...byHash.values()]) end(session);
    },
  };
}

/** Keeps a question in its session; the oldest goes when there are too many. */
export function keepAnswer(session: Session, asked: Asked): Answer {
  const [oldest] = session.answers.keys();
  if (session.answers.size >= ANSWERS_MAX && oldest !== undefined) session.answers.delete(oldest);
  const id = randomBytes(12).toString('base64url');
  const answer: Answer = {
    ...{ id, asked, cursors: [null], progress: { records: 0 } },
    ...{ shown: new Map(), certified: [] },
    ...{ certificate: createKept(), timeline: createKept() },
  };
  session.answers.set(id, answer);
  return answer;
}

/** 256 bits that nobody can guess. */
export function randomId(): string {
  return randomBytes(32).toString('base64url');
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64');
}
