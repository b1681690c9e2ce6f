/** What the append stage says when it takes nothing, or not this. */
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err } from '../../schemas/result.ts';
import type { AppendRequest } from '../ports.ts';
import type { AppendStatus } from '../status-ports.ts';

/** Why nothing is taken in this state. */
export function refusalOf(state: AppendStatus['state'], lastError: string | null): Refusal {
  if (state === 'disk_full') {
    return refusal(
      'disk_full',
      'the ledger has no space left; free or add disk, or raise ledger.quota; events are taken again by themselves',
    );
  }
  if (state === 'stopped')
    return refusal('shutting_down', 'the agent is stopping; send again when it is back');
  return refusal(
    'storage_failed',
    `the ledger cannot be written: ${lastError ?? 'unknown'}; see the agent's log`,
  );
}

/** The request with all its events refused; its numbers are used up, and so no gap. */
export function refuseTooLarge(request: AppendRequest): AppendRequest {
  const reason = refusal(
    'too_large',
    'the batch is too large to be stored at once; send it in parts',
  );
  return { ...request, events: request.events.map(() => err(reason)) };
}
