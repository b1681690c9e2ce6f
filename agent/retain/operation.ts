/**
 * What an operator may have recorded about the trail itself: a hold, a purge, classes that were set, an
 * auditor's tenants. It
 * comes over the owner's admin socket. Pure.
 */
import type { Actor, Json, Outcome } from '../../schemas/event.ts';
import { err, ok, type Result } from '../../schemas/result.ts';

/** Actions that can be asked for; all others of the agent are its own to record. */
const ACTIONS: readonly string[] = [
  'auditor.granted',
  'auditor.revoked',
  'hold.lifted',
  'hold.placed',
  'retention.classes_set',
  'retention.purge',
];

export interface Operation {
  readonly action: string;
  readonly outcome: Outcome;
  readonly actor: Actor;
  readonly resource: { readonly type: string; readonly id: string };
  readonly metadata: { readonly [name: string]: Json };
  /** Of a purge: the stream that it purges. */
  readonly stream: string | null;
}

/** A name that can stand in an event as it is. */
const NAME = /^[\w.@+-]{1,64}$/;

/** Reads a request; the error says what is wrong with it. */
export function parseOperation(body: string): Result<Operation, string> {
  const value = readJson(body);
  if (typeof value !== 'object' || value === null) return err('the request is no JSON object');
  const { action, outcome, by, resource, metadata } = value as Record<string, unknown>;
  if (typeof action !== 'string' || !ACTIONS.includes(action))
    return err(`action must be one of ${ACTIONS.join(', ')}`);
  if (outcome !== 'success' && outcome !== 'failure')
    return err('outcome must be success or failure');
  if (typeof by !== 'string' || !NAME.test(by))
    return err('by must be a name of 1 to 64 letters, digits and any of . @ + - _');
  if (typeof resource !== 'object' || resource === null) return err('resource is missing');
  const { type, id } = resource as Record<string, unknown>;
  if (typeof type !== 'string' || typeof id !== 'string') return err('resource needs type and id');
  if (typeof metadata !== 'object' || metadata === null) return err('metadata is missing');
  const said = metadata as Operation['metadata'];
  const stream = action === 'retention.purge' ? said['stream'] : null;
  if (stream !== null && typeof stream !== 'string') return err('metadata.stream is missing');
  return ok({
    ...{ action, outcome, stream, resource: { type, id }, metadata: said },
    actor: { type: 'user', id: by, name: by, on_behalf_of: null },
  });
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller says so.
    return null;
  }
}
