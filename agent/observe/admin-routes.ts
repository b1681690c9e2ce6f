/**
 * What the admin server answers: health and metrics on both doors; status and the dead-letter queue
 * on the unix socket only, because they name tenants and can change something.
 */
import type { AgentStatus, DeadLetter, DeadLetterRetry } from '../ports.ts';
import { faultAnswer, jsonAnswer, type AdminAnswer } from './admin-answer.ts';
import { decideLive, decideReady, type Health } from './health.ts';
import type { Metrics } from './metrics.ts';

export interface AdminSources {
  readonly status: () => AgentStatus;
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  readonly deadLetters: {
    list(sink?: string, limit?: number): Promise<readonly DeadLetter[]>;
    retry(sink?: string): Promise<DeadLetterRetry>;
  };
}

export interface Route {
  readonly method: 'GET' | 'POST';
  answer(query: URLSearchParams): Promise<AdminAnswer> | AdminAnswer;
}

export type Routes = ReadonlyMap<string, Route>;

export const DEAD_LETTERS_DEFAULT = 1_000;
export const DEAD_LETTERS_MAX = 10_000;

/** `/healthz`, `/readyz`, `/metrics`. */
export function createOpenRoutes({ status, metrics }: AdminSources): Routes {
  return new Map<string, Route>([
    ['/healthz', { method: 'GET', answer: () => healthAnswer(decideLive(status())) }],
    ['/readyz', { method: 'GET', answer: () => healthAnswer(decideReady(status())) }],
    [
      '/metrics',
      {
        method: 'GET',
        answer: async () => ({
          status: 200,
          type: metrics.contentType,
          body: await metrics.text(),
        }),
      },
    ],
  ]);
}

/** The open routes, and `/status`, `/dlq?sink=&limit=`, `/dlq/retry?sink=`. */
export function createOwnerRoutes(sources: AdminSources): Routes {
  const { status, deadLetters } = sources;
  return new Map<string, Route>([
    ...createOpenRoutes(sources),
    ['/status', { method: 'GET', answer: () => jsonAnswer(200, status()) }],
    [
      '/dlq',
      {
        method: 'GET',
        answer: async (query) => {
          const sink = query.get('sink') ?? undefined;
          const limit = Number(query.get('limit') ?? DEAD_LETTERS_DEFAULT);
          if (!Number.isInteger(limit) || limit < 1 || limit > DEAD_LETTERS_MAX) return badLimit();
          return (
            unknownSink(sink, status()) ?? jsonAnswer(200, await deadLetters.list(sink, limit))
          );
        },
      },
    ],
    [
      '/dlq/retry',
      {
        method: 'POST',
        answer: async (query) => {
          const sink = query.get('sink') ?? undefined;
          return unknownSink(sink, status()) ?? jsonAnswer(200, await deadLetters.retry(sink));
        },
      },
    ],
  ]);
}

function healthAnswer(health: Health): AdminAnswer {
  return jsonAnswer(health.ok ? 200 : 503, health);
}

function badLimit(): AdminAnswer {
  return faultAnswer(
    400,
    'bad_limit',
    `limit must be a whole number from 1 to ${DEAD_LETTERS_MAX}`,
  );
}

function unknownSink(sink: string | undefined, { sinks }: AgentStatus): AdminAnswer | null {
  if (sink === undefined || sinks.some(({ name }) => name === sink)) return null;
  const names = sinks.map(({ name }) => name).join(', ');
  return faultAnswer(404, 'unknown_sink', `no sink has this name; there are: ${names || 'none'}`);
}
