/**
 * PostgreSQL's binary form of one-dimensional arrays, as query parameters: `pg` sends a Buffer as
 * it is, in binary. As text every quote of a JSON column would be escaped here and unescaped
 * there, which costs more than the insert itself.
 *
 *   i32 dimensions (1)   i32 has nulls   u32 element type   i32 length   i32 lower bound (1)
 *   per element: i32 bytes (-1: null), bytes
 */

/** Object ids of the element types, fixed in PostgreSQL's catalog. */
const TypeOid = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, timestamptz: 1184 } as const;

const HEADER_BYTES = 20;
/** 2000-01-01, where PostgreSQL counts from. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/** SQLSTATE character_not_in_repertoire: what the server says of a text that is no UTF-8. */
const NOT_UTF8 = '22021';

/** text[]; null stays null. Throws, as the server would, for a lone surrogate: UTF-8 has none. */
export function encodeTexts(values: readonly (string | null)[]): Buffer {
  let size = HEADER_BYTES;
  // Three bytes is the most a UTF-16 unit can take; measuring exactly costs a second pass.
  for (const value of values) size += 4 + (value === null ? 0 : value.length * 3);
  const out = Buffer.allocUnsafe(size);
  writeHeader(out, TypeOid.text, values.length, values.includes(null));
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value === null) {
      at = out.writeInt32BE(-1, at);
      continue;
    }
    // Silently replaced, it would no longer have the hash it was sealed with.
    if (!value.isWellFormed())
      throw Object.assign(new Error('a lone surrogate'), { code: NOT_UTF8 });
    const bytes = out.write(value, at + 4, 'utf8');
    out.writeInt32BE(bytes, at);
    at += 4 + bytes;
  }
  return out.subarray(0, at);
}

/** bytea[] from lower-case hex, every value of `bytesEach` bytes. */
export function encodeHex(values: readonly string[], bytesEach: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + values.length * (4 + bytesEach));
  writeHeader(out, TypeOid.bytea, values.length, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = out.writeInt32BE(bytesEach, at);
    out.write(value, at, bytesEach, 'hex');
    at += bytesEach;
  }
  return out;
}

/** int4[]. */
export function encodeIntegers(values: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + values.length * 8);
  writeHeader(out, TypeOid.int4, values.length, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = out.writeInt32BE(4, at);
    at = out.writeInt32BE(value, at);
  }
  return out;
}

/** int8[] from safe integers. */
export function encodeBigints(values: readonly number[]): Buffer {
  return encodeEights(TypeOid.int8, values, 0, 1);
}

/** timestamptz[] from milliseconds since the Unix epoch, any that Date knows. */
export function encodeTimes(valuesMs: readonly number[]): Buffer {
  return encodeEights(TypeOid.timestamptz, valuesMs, POSTGRES_EPOCH_MS, 1000);
}

/** bool[]. */
export function encodeBooleans(values: readonly boolean[]): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + values.length * 5);
  writeHeader(out, TypeOid.bool, values.length, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = out.writeInt32BE(1, at);
    at = out.writeUInt8(value ? 1 : 0, at);
  }
  return out;
}

/** (value - origin) * factor as eight bytes each. */
function encodeEights(
  oid: number,
  values: readonly number[],
  origin: number,
  factor: number,
): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + values.length * 12);
  writeHeader(out, oid, values.length, false);
  let at = HEADER_BYTES;
  for (const value of values) {
    at = out.writeInt32BE(8, at);
    const scaled = (value - origin) * factor;
    if (Number.isSafeInteger(scaled)) {
      const high = Math.floor(scaled / 0x1_0000_0000);
      at = out.writeInt32BE(high, at);
      at = out.writeUInt32BE(scaled - high * 0x1_0000_0000, at);
    } else {
      // Microseconds of times three centuries off do not fit a double.
      at = out.writeBigInt64BE(BigInt(value - origin) * BigInt(factor), at);
    }
  }
  return out;
}

function writeHeader(out: Buffer, oid: number, length: number, hasNulls: boolean): void {
  out.writeInt32BE(1, 0);
  out.writeInt32BE(hasNulls ? 1 : 0, 4);
  out.writeUInt32BE(oid, 8);
  out.writeInt32BE(length, 12);
  out.writeInt32BE(1, 16);
}
