/** What a hold is asked for, before it is placed: a filter that fits no event would be a hold that holds nothing. Pure. */
import type { HoldFilter } from '../store/holds.ts';

const EVENT_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Why the filter could never fit; null: it could. */
export function findFilterFault(filter: HoldFilter): string | null {
  if (Object.keys(filter).length === 0)
    return 'name what to hold: --tenant, --actor, --event, …; see --help';
  const { from, to, eventIds = [] } = filter;
  if (Object.values(filter).includes('')) return 'what is named must not be empty';
  if (from !== undefined && to !== undefined && from >= to) return '--from has to be before --to';
  const wrong = eventIds.find((id) => !EVENT_ID.test(id));
  return wrong === undefined ? null : `${wrong} is no event id`;
}
