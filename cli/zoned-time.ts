/** Times as they are given on the command line. */
import { InvalidArgumentError } from 'commander';

const TIME = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/** A day, which begins at midnight UTC, or a time with its zone: that of this host would be a guess. Null: neither. */
export function readZonedTime(text: string): string | null {
  const [, day = ''] = TIME.exec(text) ?? [];
  const [ms, dayMs] = [Date.parse(text), Date.parse(day)];
  if (Number.isNaN(ms) || Number.isNaN(dayMs)) return null;
  // 30 February is read as 2 March.
  return new Date(dayMs).toISOString().startsWith(day) ? new Date(ms).toISOString() : null;
}

/** The same for an option of a command: RFC 3339, UTC. */
export function parseZonedTime(text: string): string {
  const time = readZonedTime(text);
  if (time !== null) return time;
  throw new InvalidArgumentError(
    'it is no time with its zone; write 2026-11-01 (UTC), 2026-11-01T00:00:00Z or 2026-11-01T08:00+01:00',
  );
}
