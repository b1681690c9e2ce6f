/** The records on either side of a range: that they were received outside its time shows that it is all of it. Pure. */
import { memberOf } from '../../schemas/untrusted-json.ts';
import type { Asked } from '../answer.ts';

export type Side = 'before' | 'behind';

/** When the agent received it; NaN where the event does not say. */
export function receivedMs(event: unknown): number {
  const received = memberOf(memberOf(event, 'chain'), 'received_at');
  return typeof received === 'string' ? Date.parse(received) : Number.NaN;
}

/** Whether a neighbour was received outside the time that was asked for; its event may be forged. */
export function isOutside(
  side: Side,
  event: unknown,
  { since, until }: Pick<Asked, 'since' | 'until'>,
): boolean {
  const ms = receivedMs(event);
  return side === 'before' ? ms < Date.parse(since) : ms >= Date.parse(until);
}
