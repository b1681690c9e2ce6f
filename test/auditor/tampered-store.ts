/** An evidence store that is put back as it was after each test, and what somebody with full power over it does to it. */
import type { Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { certifyAnswer } from '../../auditor/export.ts';
import type { Trust } from '../../ledger/trust.ts';
import type { StoredRecord } from '../../store/store.ts';
import { ACME, ASKED, openEvidenceStore, trustOf, type EvidenceStore } from './evidence-store.ts';

export const ID_OF_ACME: string = `(SELECT stream_id FROM audit.streams WHERE stream = '${ACME}')`;
export const OF_ACME: string = `stream_id = ${ID_OF_ACME}`;

export interface TamperedStore extends AsyncDisposable {
  readonly bench: EvidenceStore;
  readonly auditor: Auditor;
  /** By the agent's key, unless told otherwise; `by` asks in the auditor's place. */
  certify(asked?: Partial<Asked>, trust?: Trust | null, by?: Auditor): Promise<Certificate>;
  /** Keeps rows from an auditor; the statement that asks is told by its text. */
  hide(condition: string): Promise<void>;
  /** Puts a record into the store by hand. */
  plant(record: StoredRecord, streamId?: string): Promise<void>;
  restore(): Promise<void>;
}

const TABLES = ['records', 'streams', 'checkpoints'];

/** Opens it. */
export async function openTamperedStore(): Promise<TamperedStore> {
  const bench = await openEvidenceStore();
  const auditor = createAuditor({ url: bench.alice });
  const trusted = trustOf(bench.signer);
  for (const table of TABLES)
    await bench.admin.query(`CREATE TABLE kept_${table} AS SELECT * FROM audit.${table}`);
  const { rows } = await bench.admin.query<{ list: string }>(
    `SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute
     WHERE attrelid = 'audit.records'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
  );
  const columns = rows[0]?.list ?? '';
  return {
    ...{ bench, auditor },
    certify: async (asked = {}, trust = trusted, by = auditor) => {
      const options = { url: bench.alice, known: null, trust, verifier: 'test' };
      const made = await certifyAnswer(by, { ...ASKED, ...asked }, options);
      if (!made.ok) throw new Error(made.error.message);
      return made.value;
    },
    hide: async (condition) => {
      await bench.admin.query(
        `CREATE POLICY hiding ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor USING (${condition})`,
      );
    },
    plant: async ({ event, eventText, prev_hash, this_hash }, streamId = ID_OF_ACME) =>
      bench.tamper(
        `INSERT INTO audit.records (occurred_at, received_at, seq, stream_id, duplicate, event_id, tenant_id, actor_type, actor_id,
           action, category, outcome, resource_type, resource_id, prev_hash, this_hash, event_bytes)
         SELECT $1, $2, $3, ${streamId}, false, $4, 'acme', 'user', $5, $6, $7, $8, $9, $10, decode($11, 'hex'), decode($12, 'hex'), $13`,
        [
          ...[event.event.time, event.chain.received_at, event.chain.seq, event.event_id],
          ...[event.actor.id, event.event.action, event.event.category, event.event.outcome],
          ...[event.resource.type, event.resource.id, prev_hash, this_hash, eventText],
        ],
      ),
    restore: async () => {
      await bench.tamper('SELECT 1');
      await bench.admin.query(`
        DROP POLICY IF EXISTS hiding ON audit.records;
        DELETE FROM audit.records; DELETE FROM audit.streams; DELETE FROM audit.checkpoints;
        INSERT INTO audit.streams OVERRIDING SYSTEM VALUE SELECT * FROM kept_streams;
        INSERT INTO audit.checkpoints SELECT * FROM kept_checkpoints;
        INSERT INTO audit.records (${columns}) SELECT ${columns} FROM kept_records`);
    },
    [Symbol.asyncDispose]: async () => {
      auditor.close();
      await bench[Symbol.asyncDispose]();
    },
  };
}
