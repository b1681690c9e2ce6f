/** Documents as the SIEM side takes them: one line of JSON a record, in one of three forms. */
import { formatRecord } from '../../ledger/frame.ts';
import { definitionOf } from '../../schemas/agent-actions.ts';
import { mapToEcs } from '../../schemas/ecs.ts';
import type { MappingAgent } from '../../schemas/mapping.ts';
import { mapToOcsf } from '../../schemas/ocsf.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import type { DeliveryRecord } from '../ports.ts';

/** Turns a record into its line, newline included; the same record gives the same bytes. */
export type DocumentFormat = (record: DeliveryRecord) => string;

/** Creates the format of that name; `native` is the ledger's own line. */
export function documentFormat(
  name: 'ecs' | 'ocsf' | 'native',
  vocabulary: Vocabulary,
  agent: MappingAgent,
): DocumentFormat {
  if (name === 'native') {
    return ({ eventText, prev_hash, this_hash }) => formatRecord(eventText, prev_hash, this_hash);
  }
  const map = name === 'ecs' ? mapToEcs : mapToOcsf;
  return (record) => {
    const definition = definitionOf(vocabulary, record.event.event.action);
    return JSON.stringify(map(record, definition, agent)) + '\n';
  };
}

export interface Documents {
  /** One text a record, in their order; '' for one that cannot be mapped. */
  readonly lines: readonly string[];
  readonly poison: readonly { readonly index: number; readonly reason: string }[];
}

/** Mapping a batch takes tens of milliseconds: other sinks get their turn every so many records. */
const RECORDS_PER_TURN = 256;

/** Maps a batch. A record that its format throws at is poison: the others must not wait for it. */
export async function mapRecords(
  records: readonly DeliveryRecord[],
  format: DocumentFormat,
): Promise<Documents> {
  const lines: string[] = [];
  const poison: { index: number; reason: string }[] = [];
  for (const [index, record] of records.entries()) {
    if (index % RECORDS_PER_TURN === 0) await new Promise((turn) => setImmediate(turn));
    try {
      lines.push(format(record));
    } catch (error) {
      // The message could quote the event.
      const name = error instanceof Error ? error.name : 'error';
      poison.push({ index, reason: `cannot be mapped: ${name}` });
      lines.push('');
    }
  }
  return { lines, poison };
}
