/**
 * What an agent left behind in its ledger, its store and its SIEM files, and the one promise about
 * all of them: every acked event is there, once, with the receipt that the client got.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import type { SealedRecord } from '../../schemas/record.ts';
import { runCli, type AgentProcess } from './agent-process.ts';

/** What a client was told. */
export interface Acked {
  readonly event_id: string;
  readonly stream: string;
  readonly seq: number;
  readonly this_hash: string;
}

/** The records of a ledger folder, in its order. */
export async function readRecords(ledgerDir: string): Promise<readonly SealedRecord[]> {
  const names = (await readdir(ledgerDir)).filter((name) => /^\d{20}\.ndjson$/.test(name)).sort();
  const records: SealedRecord[] = [];
  for (const name of names) records.push(...(await readLines<SealedRecord>(join(ledgerDir, name))));
  return records;
}

/** The JSON lines of a file; a last line without its end is an error. */
export async function readLines<T>(path: string): Promise<readonly T[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  expect(lines.pop(), `${path} ends in a whole line`).toBe('');
  return lines.map((line) => JSON.parse(line) as T);
}

/** Every event that a query of the store sees. */
export async function readStore(url: string): Promise<readonly Acked[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<Omit<Acked, 'seq'> & { readonly seq: string }>(
      'SELECT event_id, stream, seq, this_hash FROM audit.events',
    );
    return rows.map((row) => ({ ...row, seq: Number(row.seq) }));
  } finally {
    await client.end();
  }
}

/** Ids of the events in a SIEM file. */
export async function readDocumentIds(
  dir: string,
  format: 'ecs' | 'ocsf',
): Promise<readonly string[]> {
  const documents = await readLines<{
    readonly event?: { readonly id: string };
    readonly metadata?: { readonly uid: string };
  }>(join(dir, 'siem', `${format}.ndjson`));
  return documents.map(
    ({ event, metadata }) => (format === 'ecs' ? event?.id : metadata?.uid) ?? '',
  );
}

/**
 * Every acked event is in ledger, store, ECS and OCSF file, once, under its receipt; and no other
 * event is in any of them twice. Waits for delivery first. Returns the records.
 */
export async function expectEachOnce(
  agent: AgentProcess,
  acked: readonly Acked[],
): Promise<readonly SealedRecord[]> {
  await agent.delivered();
  const records = await readRecords(join(agent.dir, 'ledger'));
  const sealed = indexOnce(
    'the ledger',
    records.map(({ event, this_hash }) => ({
      event_id: event.event_id,
      stream: event.chain.stream,
      seq: event.chain.seq,
      this_hash,
    })),
  );
  expectWithin('the ledger', sealed, acked);

  const stored = indexOnce('the store', await readStore(await agent.databaseUrl('auditor')));
  expectWithin('the store', stored, [...sealed.values()]);
  expectSame('the store', stored, sealed);
  for (const format of ['ecs', 'ocsf'] as const) {
    const ids = await readDocumentIds(agent.dir, format);
    expectSame(`the ${format} file`, indexOnce(`the ${format} file`, ids.map(asEvent)), sealed);
  }

  const verified = await runCli(['verify', agent.dir, '--json']);
  expect(verified, 'sealtrail verify').toMatchObject({ code: 0 });
  expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'intact', gaps: [] });
  return records;
}

function asEvent(event_id: string): Pick<Acked, 'event_id'> {
  return { event_id };
}

/** Events by id; an id that stands twice fails. */
function indexOnce<T extends Pick<Acked, 'event_id'>>(
  where: string,
  events: readonly T[],
): ReadonlyMap<string, T> {
  const byId = new Map<string, T>();
  const twice: string[] = [];
  for (const event of events) {
    if (byId.has(event.event_id)) twice.push(event.event_id);
    byId.set(event.event_id, event);
  }
  expect(twice, `events that ${where} has twice`).toEqual([]);
  return byId;
}

function expectWithin(
  where: string,
  found: ReadonlyMap<string, Acked>,
  wanted: readonly Acked[],
): void {
  const missing = wanted.filter(({ event_id }) => !found.has(event_id));
  expect(missing, `acked events that ${where} has not`).toEqual([]);
  const other = wanted.filter((receipt) => {
    const record = found.get(receipt.event_id);
    return (
      record?.stream !== receipt.stream ||
      record.seq !== receipt.seq ||
      record.this_hash !== receipt.this_hash
    );
  });
  expect(other, `receipts that ${where} does not confirm`).toEqual([]);
}

function expectSame(
  where: string,
  found: ReadonlyMap<string, unknown>,
  sealed: ReadonlyMap<string, unknown>,
): void {
  expect(
    [...sealed.keys()].filter((id) => !found.has(id)),
    `sealed events that ${where} lacks`,
  ).toEqual([]);
  expect(
    [...found.keys()].filter((id) => !sealed.has(id)),
    `events of ${where} that nobody sealed`,
  ).toEqual([]);
}
