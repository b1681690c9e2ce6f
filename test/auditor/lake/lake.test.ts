/** The OCSF lake: read back with another library, it says what the mapping says; done again, it is the same. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { beforeAll, expect, test } from 'vitest';
import { loadVocabularyFile } from '../../../agent/config.ts';
import { COLUMNS, cellOf, type Spec } from '../../../auditor/lake/columns.ts';
import { writeLake } from '../../../auditor/lake/lake.ts';
import { ledgerRecords } from '../../../auditor/lake/records.ts';
import { formatRecord } from '../../../ledger/frame.ts';
import { OCSF_CLASSES } from '../../../schemas/ocsf-classes.ts';
import { mapToOcsf } from '../../../schemas/ocsf.ts';
import type { SealedRecord } from '../../../schemas/record.ts';
import type { Vocabulary } from '../../../schemas/vocabulary.ts';
import { createSealer, type EventFields } from '../../store/sealed.ts';
import { VOCABULARY } from '../../support/agent-process.ts';
import { makeTempDir } from '../../support/ledger.ts';

const BY = { name: 'sealtrail lake', version: '0.0.0' };
const EVER = { since: '', until: '9999-12-31' };
const SQL = join(import.meta.dirname, '../../../deploy/lake');
type Row = Record<string, never>;
let vocabulary: Vocabulary;

beforeAll(async () => {
  const loaded = await loadVocabularyFile(VOCABULARY);
  if (!loaded.ok) throw new Error('no vocabulary');
  vocabulary = loaded.value;
});

/** What happened, over three days and two tenants. */
const ACTS: readonly EventFields[] = [
  ...Array.from({ length: 12 }, (_, n) => ({
    action: 'user.login',
    outcome: 'denied' as const,
    actor: 'u-guess',
    time: `2026-10-02T10:${String(n).padStart(2, '0')}:00.000Z`,
  })),
  { action: 'user.login', time: '2026-10-02T23:59:59.999Z' },
  {
    ...{ action: 'invoice.read', actor: 'u_admin_alice', onBehalfOf: 'u-88' },
    ...{ resourceType: 'invoice', time: '2026-10-03T00:00:00.000Z' },
    metadata: { customer: 'c-181' },
  },
  {
    ...{ action: 'customer.export', time: '2026-10-03T08:00:00.000Z' },
    metadata: { row_count: 20_000 },
  },
  { action: 'customer.read', tenant: 'globex', time: '2026-10-04T08:00:00.000Z' },
];

/** A ledger of these events in a folder, in two segments. */
function writeLedger(dir: string): readonly SealedRecord[] {
  mkdirSync(dir, { recursive: true });
  const sealers = new Map([
    ['acme', createSealer('a/acme', 'acme')],
    ['globex', createSealer('a/globex', 'globex')],
  ]);
  const records = ACTS.map((act) => sealers.get(act.tenant ?? 'acme')!.seal(act));
  const lines = records.map((one) => formatRecord(one.eventText, one.prev_hash, one.this_hash));
  const name = (first: number): string => join(dir, `${String(first).padStart(20, '0')}.ndjson`);
  writeFileSync(name(0), lines.slice(0, 5).join(''));
  writeFileSync(name(5), `${lines.slice(5).join('')}{"event":{"half of`);
  return records;
}

const write = (ledger: string, out: string, range = EVER): ReturnType<typeof writeLake> =>
  writeLake(ledgerRecords(ledger, range), { out, region: 'local', vocabulary, agent: BY });

const filesOf = (out: string): string[] =>
  readdirSync(out, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.parquet'))
    .sort();

async function readLake(out: string): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const path of filesOf(out)) {
    const file = await asyncBufferFromFile(join(out, path));
    rows.push(...((await parquetReadObjects({ file })) as Row[]));
  }
  return rows;
}

/** Without what is absent, and with numbers as numbers: as it was before it became columns. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value)
    .map(([name, inner]) => [name, plain(inner)] as const)
    .filter(([, inner]) => inner !== null && inner !== undefined);
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

test('every document is in the file of its class, tenant and day, attribute by attribute', async () => {
  await using dir = await makeTempDir();
  const records = writeLedger(join(dir.path, 'ledger'));
  const out = join(dir.path, 'lake');
  await write(join(dir.path, 'ledger'), out);
  expect(filesOf(out)).toEqual([
    'sealtrail_3002/region=local/accountId=external_acme/eventDay=20261002/events.parquet',
    'sealtrail_3004/region=local/accountId=external_globex/eventDay=20261004/events.parquet',
    'sealtrail_6003/region=local/accountId=external_acme/eventDay=20261003/events.parquet',
    'sealtrail_6005/region=local/accountId=external_acme/eventDay=20261003/events.parquet',
  ]);
  const byId = (rows: readonly unknown[]): unknown[] =>
    (rows as { metadata: { uid: string } }[]).toSorted((a, b) =>
      a.metadata.uid < b.metadata.uid ? -1 : 1,
    );
  const rows = (await readLake(out)).map((row) => {
    const { unmapped, ...rest } = row as unknown as { unmapped: string };
    return { ...(plain(rest) as object), unmapped: JSON.parse(unmapped) as unknown };
  });
  const documents = records.map((record) =>
    mapToOcsf(record, vocabulary.actions.get(record.event.event.action) ?? null, BY),
  );
  expect(byId(rows)).toEqual(byId(documents));
});

test('no class has an attribute without a column', () => {
  const leaves = (value: unknown, spec: Spec | undefined, path: string): string[] => {
    if (spec === undefined) return [path];
    if (typeof spec === 'string') return [];
    if (Array.isArray(spec))
      return (value as unknown[]).flatMap((one) => leaves(one, (spec as [Spec])[0], `${path}[]`));
    return Object.entries(value as object).flatMap(([name, inner]) =>
      leaves(inner, (spec as Record<string, Spec>)[name], `${path}.${name}`),
    );
  };
  const sealer = createSealer();
  const full: EventFields = { onBehalfOf: 'u-2', requestId: 'r', traceId: 'a'.repeat(32) };
  for (const [class_uid, { activities }] of OCSF_CLASSES)
    for (const activity_id of activities.keys())
      for (const resourceType of ['user', 'role', 'file'])
        for (const outcome of ['success', 'failure', 'denied'] as const) {
          const record = sealer.seal({ ...full, resourceType, outcome });
          const definition = {
            ...vocabulary.actions.get('customer.read')!,
            ocsf: { class_uid, activity_id },
          };
          const document = mapToOcsf(record, definition, BY);
          expect(leaves(document, COLUMNS, `${class_uid}`)).toEqual([]);
          for (const name of Object.keys(COLUMNS)) cellOf(document, name);
        }
});

test('again is the same, byte for byte; a range of days touches no other; what fails leaves what is there', async () => {
  await using dir = await makeTempDir();
  const [ledger, out] = [join(dir.path, 'ledger'), join(dir.path, 'lake')];
  writeLedger(ledger);
  await write(ledger, out);
  const bytes = (): Buffer[] => filesOf(out).map((path) => readFileSync(join(out, path)));
  const before = bytes();
  const again = await write(ledger, out, { since: '2026-10-03', until: '2026-10-04' });
  expect(again).toEqual(
    filesOf(out)
      .slice(2)
      .map((path) => ({ path, rows: 1 })),
  );
  await write(ledger, out);
  expect(bytes()).toEqual(before);
  // A segment is gone, or a record in the middle is none: nothing is written, nothing is lost.
  const broken = join(dir.path, 'broken');
  cpSync(ledger, broken, { recursive: true });
  writeFileSync(join(broken, `${'0'.repeat(20)}.ndjson`), 'nonsense\n');
  await expect(write(broken, out)).rejects.toThrow(/record 0 is no record/);
  writeFileSync(join(broken, `${'0'.repeat(20)}.ndjson`), '');
  await expect(write(broken, out)).rejects.toThrow(/records 0 to 4 are missing/);
  // A line in the middle of the segment that is being written is damaged: it does not end there in silence.
  const damaged = join(dir.path, 'damaged');
  cpSync(ledger, damaged, { recursive: true });
  const last = join(damaged, `${'5'.padStart(20, '0')}.ndjson`);
  const lines = readFileSync(last, 'utf8').split('\n');
  writeFileSync(last, lines.with(3, 'nonsense').join('\n'));
  await expect(write(damaged, out)).rejects.toThrow(/record 8 is no record/);
  expect(bytes()).toEqual(before);
  expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('what the packaged questions ask is in the files, under the names that they ask for', async () => {
  await using dir = await makeTempDir();
  const out = join(dir.path, 'lake');
  writeLedger(join(dir.path, 'ledger'));
  await write(join(dir.path, 'ledger'), out);
  const rows = (await readLake(out)) as unknown as {
    readonly status_code: string;
    readonly actor: { readonly user: { readonly uid: string } };
    readonly metadata: { readonly event_code: string };
    readonly unmapped: string;
  }[];
  const said = rows.map((row) => ({
    ...row,
    more: JSON.parse(row.unmapped) as {
      metadata: { row_count?: number; customer?: string };
      on_behalf_of?: { uid: string };
    },
  }));
  expect(said.filter(({ status_code }) => status_code === 'denied')).toHaveLength(12);
  expect(said.flatMap(({ more }) => more.on_behalf_of?.uid ?? [])).toEqual(['u-88']);
  expect(said.flatMap(({ more }) => more.metadata.row_count ?? [])).toEqual([20_000]);
  expect(said.flatMap(({ more }) => more.metadata.customer ?? [])).toEqual(['c-181']);
  for (const name of ['duckdb.sql', 'athena.sql']) {
    const text = readFileSync(join(SQL, name), 'utf8').replace(/^--.*$|'[^']*'/gm, '');
    const paths = [...text.matchAll(/\b(metadata|actor|raw_data_hash)\.(\w+)(?:\.(\w+))?/g)];
    expect(paths.length).toBeGreaterThan(10);
    for (const [path, column = '', member = '', inner] of paths) {
      const spec = (COLUMNS[column] as Record<string, Spec>)[member];
      expect([path, spec]).not.toEqual([path, undefined]);
      if (inner !== undefined) expect((spec as Record<string, Spec>)[inner]).toBe('text');
    }
    for (const [open, close] of ['()', '<>'].map((pair) => pair.split('') as [string, string]))
      if (open === '(' || name === 'athena.sql')
        expect(text.replace(/>=| > /g, '').split(open).length).toBe(
          text.replace(/>=| > /g, '').split(close).length,
        );
  }
});
