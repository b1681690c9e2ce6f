/** The JSON files of a bundle, which anybody may have written: null for what is not in their form. Pure. */
import { canonicalize } from '../../schemas/canonical.ts';
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';
import type { AnswerRow, Asked, Column, RecordOfRow, Statement } from '../answer.ts';
import {
  CERTIFICATE_VERSION,
  type Certificate,
  type StreamProof,
} from '../certificate/certificate.ts';

export const QUESTION_VERSION = 'sealtrail/question/v1';

/** question.json: what was asked, of whom, and the statement that was run. */
export interface BundleQuestion {
  readonly _v: typeof QUESTION_VERSION;
  /** The question in words. */
  readonly title: string;
  readonly asked: Asked;
  readonly statement: Statement;
  readonly login: string;
  readonly columns: readonly Column[];
}

const HEX = /^[0-9a-f]{64}$/;
const TEXTS = { finding: 0, login: 0, verifier: 0 };
const VERDICTS: ReadonlySet<unknown> = new Set(['intact', 'broken', 'cannot_tell']);

/** Reads a certificate; it MUST be in the one form in which one is written. */
export function readCertificate(text: string | null): Certificate | null {
  const value = parse(text);
  if (value === null || `${canonicalize(value)}\n` !== text) return null;
  const of = (name: string): unknown => memberOf(value, name);
  if (of('_v') !== CERTIFICATE_VERSION || !VERDICTS.has(of('verdict'))) return null;
  if (!Object.keys(TEXTS).every((name) => typeof of(name) === 'string')) return null;
  const lists = ['findings', 'streams', 'proven', 'not_proven', 'notes'];
  if (!lists.every((name) => Array.isArray(of(name)))) return null;
  const rows = of('rows');
  if (!isCount(memberOf(rows, 'count')) || !isDigest(memberOf(rows, 'sha256'))) return null;
  const asked = of('asked');
  if (typeof memberOf(asked, 'since') !== 'string' || typeof memberOf(asked, 'until') !== 'string')
    return null;
  if (typeof memberOf(asked, 'tenant') !== 'string') return null;
  const judged = of('judged');
  const counts = ['matching', 'repeated', 'masked'].map((name) => memberOf(judged, name));
  if (judged !== null && !counts.every(isCount)) return null;
  return (of('streams') as unknown[]).every(isStreamProof) ? (value as Certificate) : null;
}

/** Reads question.json. */
export function readQuestion(text: string | null): BundleQuestion | null {
  const value = parse(text);
  const of = (name: string): unknown => memberOf(value, name);
  const columns = of('columns');
  if (of('_v') !== QUESTION_VERSION || typeof of('title') !== 'string') return null;
  if (!Array.isArray(columns) || typeof memberOf(of('statement'), 'sql') !== 'string') return null;
  const isColumn = (one: unknown): boolean =>
    typeof memberOf(one, 'name') === 'string' && typeof memberOf(one, 'title') === 'string';
  return columns.every(isColumn) ? (value as BundleQuestion) : null;
}

/** Reads a line of rows.ndjson. */
export function readRow(line: string): (AnswerRow & { readonly row: number }) | null {
  const value = parse(line);
  const [row, values, record] = ['row', 'values', 'record'].map((name) => memberOf(value, name));
  if (!isCount(row) || !Array.isArray(values) || !values.every(isCell)) return null;
  if (record !== null && !isRecord(record)) return null;
  return { row, values: values as AnswerRow['values'], record };
}

function parse(text: string | null): object | null {
  const value = text === null ? null : readJson(text);
  return typeof value === 'object' && value !== null ? value : null;
}

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isDigest = (value: unknown): boolean => typeof value === 'string' && HEX.test(value);
const isCell = (value: unknown): boolean =>
  value === null || typeof value === 'string' || typeof value === 'number';

function isRecord(value: unknown): value is RecordOfRow {
  const texts = ['stream', 'event_id', 'event_bytes'];
  return (
    texts.every((name) => typeof memberOf(value, name) === 'string') &&
    isCount(memberOf(value, 'seq')) &&
    isDigest(memberOf(value, 'prev_hash')) &&
    isDigest(memberOf(value, 'this_hash'))
  );
}

function isStreamProof(value: unknown): value is StreamProof {
  const of = (name: string): unknown => memberOf(value, name);
  const tree = of('tree');
  const isText = (one: unknown): boolean => one === null || typeof one === 'string';
  const isList = (one: unknown): boolean => Array.isArray(one) && one.every(isDigest);
  return (
    typeof of('stream') === 'string' &&
    ['from', 'to', 'first', 'last'].every((name) => isCount(of(name))) &&
    ['before', 'after', 'checkpoint'].every((name) => isText(of(name))) &&
    isDigest(of('hashes_sha256')) &&
    (tree === null ||
      (isCount(memberOf(tree, 'size')) &&
        isDigest(memberOf(tree, 'root')) &&
        isList(memberOf(tree, 'left')) &&
        isList(memberOf(tree, 'right'))))
  );
}
