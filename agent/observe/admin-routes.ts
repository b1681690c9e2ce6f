/**
 * What the admin server answers: health and metrics on both doors; status, dead letters, reload and
 * tap on the unix socket only, because they name tenants, show events or change something.
 */
import type { Result } from '../../schemas/result.ts';
import type { DeadLetter, DeadLetterRetry, RecordedOperation, ReloadReport } from '../ports.ts';
import type { AgentStatus } from '../status-ports.ts';
import { faultAnswer, jsonAnswer, type AdminAnswer } from './admin-answer.ts';
import { decideLive, decideReady, type Health } from './health.ts';
import type { Metrics } from './metrics.ts';
import type { Tap, TapFilter } from './tap.ts';

export interface AdminSources {
  readonly status: () => AgentStatus;
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  readonly deadLetters: {
    list(sink?: string, limit?: number): Promise<readonly DeadLetter[]>;
    retry(sink?: string): Promise<DeadLetterRetry>;
  };
  readonly reload: { run(): Promise<ReloadReport>; preview(): Promise<ReloadReport> };
  readonly tap: Tap;
  /** Records what an operator does to the trail itself: holds, purges, classes. */
  readonly operations: (body: string) => Promise<Result<RecordedOperation, string>>;
  /** `/keys` and what lies below it. */
  readonly keys: Routes;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  /** `body` reads what was sent; asked by POST routes only. */
  answer(query: URLSearchParams, body: () => Promise<string>): Promise<AdminAnswer> | AdminAnswer;
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

/** The open routes, and `/operation`, `/status`, `/dlq`, `/dlq/retry`, `/reload` (what it would do), `/reload/now`, `/tap`. */
export function createOwnerRoutes(sources: AdminSources): Routes {
  const { status, deadLetters, reload } = sources;
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
    ['/reload', { method: 'GET', answer: async () => jsonAnswer(200, await reload.preview()) }],
    ['/reload/now', { method: 'POST', answer: async () => jsonAnswer(200, await reload.run()) }],
    ['/operation', { method: 'POST', answer: (_, body) => recordAnswer(sources, body) }],
    ...sources.keys,
    ['/tap', { method: 'GET', answer: (query) => tapAnswer(sources, query) }],
  ]);
}

async function recordAnswer(
  { operations }: AdminSources,
  body: () => Promise<string>,
): Promise<AdminAnswer> {
  const recorded = await operations(await body());
  return recorded.ok
    ? jsonAnswer(200, recorded.value)
    : faultAnswer(409, 'not_recorded', recorded.error);
}

function tapAnswer({ tap, status }: AdminSources, query: URLSearchParams): AdminAnswer {
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isSafeInteger(limit) || limit < 0)
    return faultAnswer(400, 'bad_limit', 'limit must be a whole number; 0 is none');
  const sink = query.get('sink') ?? undefined;
  const unknown = unknownSink(sink, status());
  if (unknown !== null) return unknown;
  if (tap.isFull())
    return faultAnswer(429, 'too_many_taps', 'others are at the tap; end one of them');
  const [tenant, action] = [query.get('tenant'), query.get('action')];
  const filter: TapFilter = {
    limit,
    ...(sink !== undefined && { sink }),
    ...(tenant !== null && { tenant }),
    ...(action !== null && { action }),
  };
  const type = 'application/x-ndjson';
  return { status: 200, type, body: '', stream: (out) => tap.open(filter, out) };
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
