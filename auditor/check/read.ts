/** The JSON files of a bundle, which anybody may have written: null for what is not in their form. Pure. */
import { isCanonicalOf } from '../../ledger/content-check.ts';
import type { Json } from '../../schemas/event.ts';
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

const ROW = 'record row values';
const RECORD = 'event_bytes event_id prev_hash seq stream this_hash';
const HEX = /^[0-9a-f]{64}$/;
const TEXTS = ['finding', 'login', 'verifier'];
const VERDICTS: ReadonlySet<unknown> = new Set(['intact', 'broken', 'cannot_tell']);

/** Reads a certificate. */
export function readCertificate(text: string | null): Certificate | null {
  const value = parseCanonical(text);
  const of = (name: string): unknown => memberOf(value, name);
  if (of('_v') !== CERTIFICATE_VERSION || !VERDICTS.has(of('verdict'))) return null;
  if (!TEXTS.every((name) => typeof of(name) === 'string')) return null;
  if (!['proven', 'not_proven', 'notes'].every((name) => isTexts(of(name)))) return null;
  const [rows, findings, streams] = [of('rows'), of('findings'), of('streams')];
  if (!['count', 'records'].every((name) => isCount(memberOf(rows, name)))) return null;
  if (!isDigest(memberOf(rows, 'sha256')) || !isAsked(of('asked'))) return null;
  if (!isStatement(of('statement'))) return null;
  if (!Array.isArray(findings) || !findings.every(isFinding) || !Array.isArray(streams))
    return null;
  const judged = of('judged');
  const counts = ['matching', 'repeated', 'masked'].map((name) => memberOf(judged, name));
  if (judged !== null && !counts.every(isCount)) return null;
  return streams.every(isStreamProof) ? (value as Certificate) : null;
}

/** Reads question.json. */
export function readQuestion(text: string | null): BundleQuestion | null {
  const value = parseCanonical(text);
  const of = (name: string): unknown => memberOf(value, name);
  const columns = of('columns');
  if (of('_v') !== QUESTION_VERSION || typeof of('title') !== 'string') return null;
  if (!Array.isArray(columns) || !isStatement(of('statement')) || !isAsked(of('asked')))
    return null;
  const isColumn = (one: unknown): boolean =>
    ['name', 'title', 'kind'].every((name) => typeof memberOf(one, name) === 'string');
  return columns.every(isColumn) ? (value as BundleQuestion) : null;
}

/** Reads a line of rows.ndjson. */
export function readRow(line: string): (AnswerRow & { readonly row: number }) | null {
  const value = parse(line);
  // A member twice, or one more, would say something else to another reader.
  if (!isCanonicalOf(value as Json, line) || !hasOnly(value, ROW)) return null;
  const [row, values, record] = ['row', 'values', 'record'].map((name) => memberOf(value, name));
  if (!isCount(row) || !Array.isArray(values) || !values.every(isCell)) return null;
  if (record !== null && (!isRecord(record) || !hasOnly(record, RECORD))) return null;
  return { row, values: values as AnswerRow['values'], record };
}

/** Of a file that MUST be in the one form in which one is written. */
function parseCanonical(text: string | null): object | null {
  const value = parse(text);
  return value !== null &&
    isCanonicalOf(value as Json, text?.slice(0, -1) ?? '') &&
    text?.endsWith('\n') === true
    ? value
    : null;
}

function parse(text: string | null): object | null {
  const value = text === null ? null : readJson(text);
  return typeof value === 'object' && value !== null ? value : null;
}

const hasOnly = (value: object | null, names: string): boolean =>
  Object.keys(value ?? {}).join(' ') === names;
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isDigest = (value: unknown): boolean => typeof value === 'string' && HEX.test(value);
const isCell = (value: unknown): boolean =>
  value === null || typeof value === 'string' || typeof value === 'number';

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

function isAsked(value: unknown): boolean {
  const parameters = memberOf(value, 'parameters');
  const texts = ['question', 'tenant', 'timeZone', 'since', 'until'].map((name) =>
    memberOf(value, name),
  );
  return (
    isTexts(texts) &&
    typeof parameters === 'object' &&
    parameters !== null &&
    isTexts(Object.values(parameters))
  );
}

const isStatement = (value: unknown): boolean =>
  typeof memberOf(value, 'sql') === 'string' && Array.isArray(memberOf(value, 'values'));

function isFinding(value: unknown): boolean {
  const rows = memberOf(value, 'rows');
  return (
    ['kind', 'stream', 'message'].every((name) => typeof memberOf(value, name) === 'string') &&
    typeof memberOf(value, 'seq') === 'number' &&
    Array.isArray(rows) &&
    rows.every(isCount)
  );
}

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
  const [tree, anchored] = [of('tree'), of('anchored')];
  const isText = (one: unknown): boolean => one === null || typeof one === 'string';
  const isList = (one: unknown): boolean => Array.isArray(one) && one.every(isDigest);
  return (
    typeof of('stream') === 'string' &&
    ['from', 'to', 'first', 'last'].every((name) => isCount(of(name))) &&
    ['before', 'after', 'checkpoint'].every((name) => isText(of(name))) &&
    isDigest(of('hashes_sha256')) &&
    isTexts(of('keys')) &&
    typeof of('is_trusted') === 'boolean' &&
    (anchored === null ||
      (typeof memberOf(anchored, 'time') === 'string' && isTexts(memberOf(anchored, 'by')))) &&
    (tree === null ||
      (isCount(memberOf(tree, 'size')) &&
        isDigest(memberOf(tree, 'root')) &&
        isList(memberOf(tree, 'left')) &&
        isList(memberOf(tree, 'right'))))
  );
}
