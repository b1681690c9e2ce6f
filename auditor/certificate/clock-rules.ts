/**
 * Whether the database and this program know the clock of a time zone alike: each has rules of its own release, and governments change
 * them. Where they differ, an answer that goes by that clock shows nothing of what anybody did.
 */
import type { ClientBase } from 'pg';
import type { Asked } from '../answer.ts';
import { offsetMs } from '../rules/clock.ts';

/** Offsets hold for weeks at least, but for the odd night. */
const STEP_MS = 6 * 3_600_000;
const SAMPLES_MAX = 10_000;

/** Compares them in the time of the question; null: they are alike, or the question does not go by the clock. */
export async function findClockDoubt(
  client: ClientBase,
  { question, since, until, timeZone }: Asked,
): Promise<string | null> {
  if (question !== 'off-hours') return null;
  const stepMs = Math.max(STEP_MS, (Date.parse(until) - Date.parse(since)) / SAMPLES_MAX);
  const { rows } = await client.query<{ ms: string; ahead: string }>(
    `SELECT (extract(epoch FROM t) * 1000)::bigint AS ms,
       (extract(epoch FROM (t AT TIME ZONE $3) - (t AT TIME ZONE 'UTC')) * 1000)::bigint AS ahead
     FROM generate_series($1::timestamptz, $2::timestamptz, make_interval(secs => $4)) t`,
    [since, until, timeZone, stepMs / 1000],
  );
  const other = rows.find(({ ms, ahead }) => offsetMs(Number(ms), timeZone) !== Number(ahead));
  return other === undefined
    ? null
    : `the database and this program know the clock of ${timeZone} otherwise at ${new Date(Number(other.ms)).toISOString()}: bring the time zones of both up to date, or ask in UTC`;
}
