/** What the store itself keeps of signed checkpoints (audit.checkpoints), judged by the keys that the asker trusts. */
import type { ClientBase } from 'pg';
import type { Trust } from '../../ledger/trust.ts';
import { findForgery, judgeNote } from '../../ledger/verify/judge-note.ts';
import type { Known, KnownCheckpoint, KnownStream } from '../../ledger/verify/known.ts';
import type { Finding } from '../../ledger/stream-check.ts';

const TABLE = 'audit.checkpoints';

/** Reads those of a tenant; null where there are none and no keys to ask for them. */
export async function readStoredKnown(
  client: ClientBase,
  tenant: string,
  trust: Trust | null,
): Promise<Known | null> {
  const { rows } = await client.query<{ stream: string; note: string }>(
    'SELECT stream, note FROM audit.checkpoints WHERE tenant_id = $1 ORDER BY stream, size',
    [tenant],
  );
  if (rows.length === 0 && trust === null) return null;
  const streams = new Map<string, KnownStream & { readonly checkpoints: KnownCheckpoint[] }>();
  const findings: Finding[] = [];
  for (const [at, { stream, note }] of rows.entries()) {
    const known = streams.get(stream) ?? { checkpoints: [], receipts: [], anchoring: null };
    streams.set(stream, known);
    const judged = judgeNote(note, trust);
    const place = { segment: TABLE, line: at + 1 };
    if (!judged.ok) findings.push({ ...judged.error, ...place, stream });
    else if (judged.value.origin === stream) known.checkpoints.push(judged.value);
    else {
      const message = `the checkpoint filed under this stream is of ${judged.value.origin}`;
      findings.push({ kind: 'bad_signature', stream, seq: -1, ...place, message });
    }
  }
  return {
    streams,
    isJudged: trust !== null,
    isAnchorAsked: false,
    findings,
    notes: [],
    judge: (note, origin) => findForgery(note, origin, trust),
    readBase: () => Promise.resolve(null),
  };
}
