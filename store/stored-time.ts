/** Whether a timestamptz, as PostgreSQL sends it, is the time that stands in an event. Pure. */

/** 2000-01-01, from which PostgreSQL counts its microseconds. */
const EPOCH_MS = 946_684_800_000;
/** YYYY-MM-DDTHH:MM:SS.mmmZ */
const FORM = 'dddd-dd-ddTdd:dd:dd.dddZ';
const ZERO = 0x30;
const DIGIT = 0x64;
const FORM_BYTES = Buffer.from(FORM);
/** 71 years of microseconds, in steps of 2^32: a number holds them exactly. */
const HIGH_MAX = 0x80000;
/** Of each month; the 29th of February is left to whoever asks. */
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** True: it is, to the microsecond. False: it is not, or the time is not of the form in which agents write it. */
export function isTimeOf(
  row: Buffer,
  at: number,
  length: number,
  event: Buffer,
  from: number,
  to: number,
): boolean {
  if (length !== 8) return false;
  const high = row.readInt32BE(at);
  if (high < 0 || high > HIGH_MAX) return false;
  const micros = high * 0x1_0000_0000 + row.readUInt32BE(at + 4);
  return micros === (readTime(event, from, to) - EPOCH_MS) * 1_000;
}

/** Ms since the epoch; NaN: of another form, or no time for sure. */
function readTime(bytes: Buffer, from: number, to: number): number {
  if (to - from !== FORM.length) return NaN;
  for (let at = 0; at < FORM.length; at++) {
    const byte = bytes[from + at] ?? 0;
    const isRight =
      FORM_BYTES[at] === DIGIT ? byte >= ZERO && byte <= ZERO + 9 : byte === FORM_BYTES[at];
    if (!isRight) return NaN;
  }
  const of = (at: number, digits: number): number => {
    let value = 0;
    for (let next = from + at; next < from + at + digits; next++)
      value = value * 10 + (bytes[next] ?? 0) - ZERO;
    return value;
  };
  const [month, day, hour, minute, second] = [of(5, 2), of(8, 2), of(11, 2), of(14, 2), of(17, 2)];
  if (day < 1 || day > (DAYS[month - 1] ?? 0) || hour > 23 || minute > 59 || second > 59)
    return NaN;
  return Date.UTC(of(0, 4), month - 1, day, hour, minute, second, of(20, 3));
}
