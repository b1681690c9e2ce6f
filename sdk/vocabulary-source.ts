/**
 * The vocabulary as createAudit receives it: a parsed value, or the path of a JSON file. YAML is
 * the agent's business; the SDK carries no parser for it.
 */
import { readFileSync } from 'node:fs';
import { messageOf } from '../schemas/result.ts';
import { parseVocabulary, type Vocabulary } from '../schemas/vocabulary.ts';
import { AuditError, AuditErrorCode } from './errors.ts';

/** Path of a JSON file, its URL, or what such a file holds after parsing. */
export type VocabularySource = string | URL | object;

/**
 * Loads the actions that may be recorded.
 * @throws AuditError `vocabulary_invalid`, naming the first fault and how many there are.
 */
export function loadVocabulary(source: VocabularySource): Vocabulary {
  const value = typeof source === 'string' || source instanceof URL ? readFile(source) : source;
  const parsed = parseVocabulary(value);
  if (parsed.ok) return parsed.value;
  const first = parsed.error[0];
  const more = parsed.error.length > 1 ? ` (and ${parsed.error.length - 1} more)` : '';
  throw new AuditError(
    AuditErrorCode.vocabularyInvalid,
    `the vocabulary is not valid: ${first?.field ?? ''} ${first?.message ?? ''}${more}`,
    {
      hint: 'A vocabulary is {version: 1, actions: [...]}; `sealtrail init` writes one to start from.',
      ...(first === undefined ? {} : { field: first.field }),
    },
  );
}

function readFile(path: string | URL): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw new AuditError(
      AuditErrorCode.vocabularyInvalid,
      `the vocabulary file cannot be read: ${messageOf(thrown)}`,
      { cause: thrown, hint: 'Give the path of a JSON file, or the parsed value of a YAML file.' },
    );
  }
}
