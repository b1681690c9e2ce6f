/**
 * Names and places of the ledger's files. Pure.
 *
 *   <first record number, 20 digits>.ndjson       records
 *   <first record number, 20 digits>.state.json   what was known when the segment was begun (state.ts)
 *   <first record number>-<byte>.torn             a torn tail that recovery set aside
 *   reserve                                       disk space kept for recording that the disk is full
 */

const DIGITS = 20;
const SEGMENT_NAME = /^([0-9]{20})\.ndjson$/;

/** A segment is cut when it would pass this size. */
export const SEGMENT_BYTES_DEFAULT: number = 64 * 1024 * 1024;

export const RESERVE_NAME = 'reserve';

/** File name of the segment that begins with the record of this number. */
export function segmentName(firstRecord: number): string {
  return String(firstRecord).padStart(DIGITS, '0') + '.ndjson';
}

/** File name of the state kept beside that segment. */
export function stateName(firstRecord: number): string {
  return String(firstRecord).padStart(DIGITS, '0') + '.state.json';
}

/** File name for a torn tail cut off at this byte of that segment. */
export function tornName(firstRecord: number, byte: number): string {
  return `${String(firstRecord).padStart(DIGITS, '0')}-${byte}.torn`;
}

/** First record numbers of the segments among the names of a folder, ascending. */
export function listSegments(names: readonly string[]): number[] {
  const firsts: number[] = [];
  for (const name of names) {
    const digits = SEGMENT_NAME.exec(name)?.[1];
    if (digits !== undefined) firsts.push(Number(digits));
  }
  return firsts.sort((a, b) => a - b);
}
