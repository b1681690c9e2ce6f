/** What happens in the story, before it is an event: who did what when, and what logs and traces know of it. */
import type { Json, Outcome, Principal } from '../schemas/event.ts';

export interface Happening {
  readonly atMs: number;
  readonly tenant: string;
  readonly action: string;
  readonly outcome: Outcome;
  readonly actor: Principal;
  readonly onBehalfOf: Principal | null;
  readonly resource: { readonly type: string; readonly id: string };
  readonly metadata: { readonly [name: string]: Json };
  readonly service: string;
  readonly ip: string;
  readonly request: Request | null;
}

/** Happenings of one request share it. */
export interface Request {
  readonly requestId: string;
  readonly traceId: string;
  /** Whether log lines and spans are kept of it; of most there are none any more. */
  readonly isTraced: boolean;
  readonly steps: readonly Step[];
}

/** A step below the handler, one behind the other. */
export interface Step {
  readonly name: string;
  readonly ms: number;
  readonly service?: string;
}

export const HOUR_MS: number = 3_600_000;
export const DAY_MS: number = 24 * HOUR_MS;

export const user = (id: string): Principal => ({ type: 'user', id, name: id });
export const admin = (id: string): Principal => ({ type: 'admin', id, name: id });
