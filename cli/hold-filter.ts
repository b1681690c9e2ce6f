/** What a hold is asked for, before it is placed: a filter that fits no event would be a hold that holds nothing. Pure. */
import type { HoldFilter } from '../store/holds.ts';

const TIME = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const EVENT_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** A day, which begins at midnight UTC, or a time with its zone: that of this host would be a guess. Null: neither. */
export function readHoldTime(text: string): string | null {
  const [, day = ''] = TIME.exec(text) ?? [];
  const [ms, dayMs] = [Date.parse(text), Date.parse(day)];
  if (Number.isNaN(ms) || Number.isNaN(dayMs)) return null;
  // 30 February is read as 2 March.
  return new Date(dayMs).toISOString().startsWith(day) ? new Date(ms).toISOString() : null;
}

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
