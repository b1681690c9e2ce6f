/**
 * Names of fields, the only thing that `changes` may hold. A name is one word or a path of words
 * (`address.street`, `items[0].price`, `/meta/1`, `ns:Name`): it has a letter and no blank. A value of
 * one word looks the same and cannot be told from a name.
 */
import { PROTECTED } from './markers.ts';

const NAME = /^(?=.*\p{L})[\p{L}\p{M}\p{N}_$@.:/#*[\]-]+$/u;

/** Whether a redacted text is a field's name; what redaction left in place of a part of it counts. */
export function isFieldName(text: string): boolean {
  return NAME.test(text) || NAME.test(text.replace(PROTECTED, 'x'));
}
