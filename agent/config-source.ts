/**
 * The text of a configuration or vocabulary file as a plain value, with the place of every member.
 * YAML 1.2 (and so JSON), one document; tags, aliases and merge keys are refused: every value stands
 * where it is read, and no few lines grow into gigabytes.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  Parser,
  type YAMLError,
} from 'yaml';
import { err, ok, type Result } from '../schemas/result.ts';

/** One thing that is wrong with a file. */
export interface ConfigFault {
  /** From 1; 0 when the file as a whole cannot be read. */
  readonly line: number;
  /** From 1; 0 with line 0. */
  readonly column: number;
  /** JSON pointer (RFC 6901) into the file; '' is all of it. */
  readonly field: string;
  /** What is wrong and what to do. MUST NOT hold a secret. */
  readonly message: string;
}

/** A fault whose line is not looked up yet. */
export interface FieldFault {
  readonly field: string;
  readonly message: string;
  /** True: the key is wrong, not its value. */
  readonly onKey?: boolean;
}

/** A file that was read. */
export interface ConfigSource {
  readonly value: unknown;
  /** Gives a fault the line of its field, or of the nearest member around it. */
  place(fault: FieldFault): ConfigFault;
}

interface Offsets {
  readonly key: number;
  readonly value: number;
}

const DEPTH_MAX = 64;

/** What to do about an error of syntax, by the parser's code. */
const REMEDIES: Readonly<Record<string, string>> = {
  BAD_INDENT: 'line up members of one level, with spaces',
  BAD_SCALAR_START: 'put the value in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'put a value that contains ": " in quotes',
  MULTIPLE_DOCS: 'a file is one document: remove the "---"',
  TAB_AS_INDENT: 'indent with spaces',
  TAG_RESOLVE_FAILED: 'tags have no meaning here: remove what begins with "!"',
  UNEXPECTED_TOKEN: 'put a value that contains { } [ ] or , in quotes',
};

/** Pointer to a member of what `pointer` points to. */
export function pointerTo(pointer: string, name: string | number): string {
  return `${pointer}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** Reads the text; the first error of syntax, or every duplicate key and alias. */
export function parseSource(text: string): Result<ConfigSource, readonly ConfigFault[]> {
  if (nestsTooDeep(text)) {
    const message = `nests deeper than ${DEPTH_MAX} levels; a configuration needs fewer than ten`;
    return err([{ line: 1, column: 1, field: '', message }]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    // Own messages: the parser's show lines of the file, and so secrets.
    prettyErrors: false,
    schema: 'core',
    uniqueKeys: false,
  });
  const places = new Map<string, Offsets>([['', { key: 0, value: 0 }]]);
  const place = (fault: FieldFault): ConfigFault => {
    const { key, value } = offsetsOf(places, fault.field);
    const { line, col } = lines.linePos(fault.onKey === true ? key : value);
    return { line, column: col, field: fault.field, message: fault.message };
  };
  const broken = [...document.errors, ...document.warnings][0];
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    return err([{ line, column: col, field: '', message: describeSyntax(broken) }]);
  }
  const faults: FieldFault[] = [];
  const value = convert(document.contents, '', { places, faults });
  return faults.length === 0 ? ok({ value, place }) : err(faults.map(place));
}

/** Asked of the parser that does not recurse: the one that builds the tree would end the process. */
function nestsTooDeep(text: string): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _token of parser.next(lexeme)) continue;
    if (parser.stack.length > DEPTH_MAX) return true;
  }
  return false;
}

function describeSyntax(error: YAMLError): string {
  // What follows a colon quotes the file.
  const what = error.message.replace(/(\w): .*$/s, '$1');
  const remedy = REMEDIES[error.code];
  return `is not YAML: ${what}${remedy === undefined ? '' : `; ${remedy}`}`;
}

interface Conversion {
  readonly places: Map<string, Offsets>;
  readonly faults: FieldFault[];
}

function convert(node: unknown, pointer: string, into: Conversion): unknown {
  if (isScalar(node)) return node.value;
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      const at = pointerTo(pointer, index);
      const offset = offsetOf(item) ?? 0;
      into.places.set(at, { key: offset, value: offset });
      return convert(item, at, into);
    });
  }
  if (isMap(node)) {
    const members = node.items.map(({ key, value }) => convertMember(key, value, pointer, into));
    // Own members whatever their names: `__proto__` is a key like any other, and unknown.
    return Object.fromEntries(members);
  }
  if (isAlias(node)) {
    into.faults.push({ field: pointer, message: 'is an alias; write the value out instead' });
  }
  return null;
}

function convertMember(
  key: unknown,
  value: unknown,
  pointer: string,
  into: Conversion,
): readonly [string, unknown] {
  const name = isScalar(key) ? String(key.value) : '';
  const at = pointerTo(pointer, name);
  const keyOffset = offsetOf(key) ?? 0;
  const isEmpty = isScalar(value) && value.value === null;
  if (!isScalar(key)) {
    into.faults.push({ field: pointer, message: 'has a key that is not a word; remove it' });
  } else if (into.places.has(at)) {
    into.faults.push({
      field: at,
      onKey: true,
      message: `the key "${name}" stands twice; keep one of the two`,
    });
  }
  // The last one wins, so a duplicate is reported where it stands.
  into.places.set(at, {
    key: keyOffset,
    value: isEmpty ? keyOffset : (offsetOf(value) ?? keyOffset),
  });
  return [name, convert(value, at, into)];
}

function offsetOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  const start: unknown = Array.isArray(node.range) ? node.range[0] : undefined;
  return typeof start === 'number' ? start : undefined;
}

/** Of the member, or of the nearest one around it: what is missing has no place of its own. */
function offsetsOf(places: ReadonlyMap<string, Offsets>, pointer: string): Offsets {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const offsets = places.get(at);
    // For what is missing in a member, the member's key is where to look.
    if (offsets !== undefined) return at === pointer ? offsets : { ...offsets, value: offsets.key };
  }
  return { key: 0, value: 0 };
}
