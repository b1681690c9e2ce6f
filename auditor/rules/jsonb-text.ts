/**
 * A JSON value as PostgreSQL's `jsonb ->>` gives it, which statements compare: a text as it is, a number without an exponent,
 * an object with the shorter names first. Pure.
 */

export function jsonbText(value: unknown): string {
  return typeof value === 'string' ? value : write(value);
}

function write(value: unknown): string {
  if (typeof value === 'number') return plainNumber(value);
  if (Array.isArray(value)) return `[${value.map(write).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([one], [other]) => compareNames(one, other));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}: ${write(member)}`).join(', ')}}`;
}

function compareNames(one: string, other: string): number {
  const [mine, theirs] = [Buffer.from(one), Buffer.from(other)];
  return mine.length - theirs.length || Buffer.compare(mine, theirs);
}

const SCIENTIFIC = /^(-?)(\d+)(?:\.(\d+))?e([+-]\d+)$/;

/** What JavaScript writes with an exponent has one digit before the point, and at most 17 digits. */
function plainNumber(value: number): string {
  const text = String(value);
  const [, sign = '', whole = '', fraction = '', exponent] = SCIENTIFIC.exec(text) ?? [];
  if (exponent === undefined) return text;
  const power = Number(exponent);
  const digits = whole + fraction;
  return power < 0
    ? `${sign}0.${'0'.repeat(-power - 1)}${digits}`
    : `${sign}${digits.padEnd(power + 1, '0')}`;
}
