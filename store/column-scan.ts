/**
 * Where the values that the columns of audit.records repeat stand in the text of a sealed event. One pass, nothing is
 * built. It takes the text for canonical: what it says of another means nothing. Pure.
 */

/** The value is null. */
export const NULL = -1;
/** The event has no such member, or one that has to be read the long way: no string, or one with an escape. */
export const UNKNOWN = -2;

/** What is looked for, by its path in the event. */
export const SCANNED: readonly string[] = [
  ...['event_id', 'resource.tenant_id', 'actor.type', 'actor.id', 'actor.on_behalf_of.id'],
  ...['event.action', 'event.category', 'event.outcome', 'resource.type', 'resource.id'],
  ...['correlation.request_id', 'correlation.trace_id', 'event.time', 'chain.received_at'],
];

/** A member that is of use: a value, or an object with such members. */
interface Wanted {
  readonly name: Buffer;
  /** Place in SCANNED; -1: an object. */
  readonly place: number;
  readonly members: readonly Wanted[];
  /** Whether null in its place means null for its members. */
  readonly isOptional: boolean;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const LOWER_N = 0x6e;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const NOTHING: readonly Wanted[] = [];
const ROOT = wantedBelow('');

/** A class, since it is made once and used for each record. */
export class ColumnScan {
  /** Of each of SCANNED: where its text begins, behind the quote; NULL or UNKNOWN. */
  readonly from: Int32Array = new Int32Array(SCANNED.length);
  /** Where it ends. */
  readonly to: Int32Array = new Int32Array(SCANNED.length);

  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;
  private end = 0;

  /** Scans the event in bytes [from, to). */
  scan(bytes: Buffer, from: number, to: number): void {
    this.bytes = bytes;
    this.at = from;
    this.end = to;
    this.from.fill(UNKNOWN);
    if (bytes[from] === OPEN_OBJECT) this.readObject(ROOT);
  }

  private readObject(wanted: readonly Wanted[]): void {
    const { bytes, end } = this;
    this.at += 1;
    while (this.at < end && bytes[this.at] !== CLOSE_OBJECT) {
      const from = this.at + 1;
      this.skipText();
      const member = findMember(wanted, bytes, from, this.at - 1);
      this.at += 1; // The colon.
      if (member === null) this.skipValue();
      else if (member.place === -1) this.readInner(member);
      else this.readValue(member.place);
      if (bytes[this.at] === COMMA) this.at += 1;
    }
    this.at += 1;
  }

  private readInner({ members, isOptional }: Wanted): void {
    const first = this.bytes[this.at];
    if (first === OPEN_OBJECT) {
      this.readObject(members);
      return;
    }
    if (isOptional && first === LOWER_N) for (const { place } of members) this.from[place] = NULL;
    this.skipValue();
  }

  private readValue(place: number): void {
    const { at, bytes } = this;
    if (bytes[at] !== QUOTE) {
      if (bytes[at] === LOWER_N) this.from[place] = NULL;
      this.skipValue();
      return;
    }
    if (this.skipText()) return;
    this.from[place] = at + 1;
    this.to[place] = this.at - 1;
  }

  /** Goes behind a text; whether it holds an escape. */
  private skipText(): boolean {
    const { bytes, end } = this;
    let at = this.at + 1;
    let isEscaped = false;
    while (at < end && bytes[at] !== QUOTE) {
      if (bytes[at] === BACKSLASH) {
        isEscaped = true;
        at += 1;
      }
      at += 1;
    }
    this.at = at + 1;
    return isEscaped;
  }

  private skipValue(): void {
    const { bytes, end } = this;
    let depth = 0;
    while (this.at < end) {
      const byte = bytes[this.at];
      if (byte === QUOTE) {
        this.skipText();
        if (depth === 0) return;
        continue;
      }
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth += 1;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        // Of the object around it: a number or a word ends there.
        if (depth === 0) return;
        depth -= 1;
        if (depth === 0) {
          this.at += 1;
          return;
        }
      } else if (byte === COMMA && depth === 0) return;
      this.at += 1;
    }
  }
}

function findMember(
  wanted: readonly Wanted[],
  bytes: Buffer,
  from: number,
  to: number,
): Wanted | null {
  for (const member of wanted) {
    const { name } = member;
    if (name.length !== to - from) continue;
    let at = 0;
    while (at < name.length && name[at] === bytes[from + at]) at += 1;
    if (at === name.length) return member;
  }
  return null;
}

/** The members of use below a path. */
function wantedBelow(path: string): readonly Wanted[] {
  const below = SCANNED.filter((one) => one.startsWith(path)).map((one) => one.slice(path.length));
  if (below.length === 0) return NOTHING;
  const names = [...new Set(below.map((one) => one.split('.')[0] ?? ''))];
  return names.map((name) => {
    const place = SCANNED.findIndex((one) => one === path + name);
    const members = place === -1 ? wantedBelow(`${path}${name}.`) : NOTHING;
    const isOptional = path + name === 'actor.on_behalf_of';
    return { name: Buffer.from(name), place, members, isOptional };
  });
}
