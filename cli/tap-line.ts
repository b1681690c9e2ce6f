/** A line of the tap for a person: pure, and safe for a terminal whatever an application sent. */
import type { SealedRecord } from '../schemas/record.ts';

export interface DescribedLine {
  /** The record on one line; null: the line is about the tap itself. */
  readonly text: string | null;
  /** What the tap says of itself, when it is worth a line. */
  readonly note: string | null;
  readonly hasEnded: boolean;
}

/** What the agent says of the stream itself. */
interface TapNote {
  readonly from?: number;
  readonly lost?: number;
  readonly ended?: string;
}

/** Describes a line of NDJSON from the agent. */
export function describeLine(line: string): DescribedLine {
  // The agent of this build wrote it: a record of the ledger, or a note.
  const said = JSON.parse(line) as SealedRecord | { readonly tap: TapNote };
  if ('tap' in said) return describeNote(said.tap);
  const { event, actor, resource, chain } = said.event;
  const cells = [
    event.time,
    resource.tenant_id.padEnd(12),
    event.action.padEnd(22),
    event.outcome.padEnd(8),
    `${actor.type} ${actor.id}`,
    '->',
    `${resource.type} ${resource.id}`,
    `seq ${chain.seq}`,
  ];
  return { text: withoutControls(cells.join('  ')), note: null, hasEnded: false };
}

function describeNote({ lost, ended }: TapNote): DescribedLine {
  const hasEnded = ended !== undefined;
  if (hasEnded) return { text: null, note: `tap: ended: ${ended}`, hasEnded };
  const note =
    lost === undefined ? null : `tap: ${lost} records were not looked at: too many, or read slowly`;
  return { text: null, note, hasEnded };
}

/** An identifier with an escape sequence in it must not move somebody's cursor. */
function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{fffd}');
}
