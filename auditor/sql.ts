/** SQL put together from pieces; what comes from outside goes in as a value, never as text. Pure. */
import type { Statement } from './answer.ts';

export type SqlValue = string | number | readonly string[];

export interface Sql {
  /** One more than values. */
  readonly text: readonly string[];
  readonly values: readonly SqlValue[];
}

/** Tagged template: pieces are put in as they are, anything else becomes a value. */
export function sql(strings: TemplateStringsArray, ...parts: readonly (SqlValue | Sql)[]): Sql {
  const text = [strings[0] ?? ''];
  const values: SqlValue[] = [];
  const append = (piece: string): void => void (text[text.length - 1] += piece);
  for (const [index, part] of parts.entries()) {
    if (isSql(part)) {
      append(part.text[0] ?? '');
      values.push(...part.values);
      text.push(...part.text.slice(1));
    } else {
      values.push(part);
      text.push('');
    }
    append(strings[index + 1] ?? '');
  }
  return { text, values };
}

export const NOTHING: Sql = sql``;

function isSql(part: SqlValue | Sql): part is Sql {
  return typeof part === 'object' && !Array.isArray(part);
}

/** With its values numbered; lines that are blank, since a piece was nothing, are left out. */
export function toStatement({ text, values }: Sql): Statement {
  const numbered = text.map((piece, index) => (index === 0 ? piece : `$${index}${piece}`)).join('');
  return { sql: numbered.replace(/\n\s*(?=\n)/g, ''), values };
}
