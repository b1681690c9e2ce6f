/**
 * What an attacker with the files, or with the database's superuser, does to a trail: lines of a
 * copied ledger, and rows of the store, changed behind everybody's back.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type pg from 'pg';
import { makeTempDir } from '../support/ledger.ts';

/** A line of the ledger. */
export interface Line {
  readonly eventText: string;
  readonly prev_hash: string;
  readonly this_hash: string;
  /** Of the event's chain. */
  readonly stream: string;
  readonly seq: number;
}

/** Cuts a line by byte positions, as docs/FORMAT.md says. */
export function parseLine(text: string): Line {
  const eventText = text.slice(9, -159);
  const { chain } = JSON.parse(eventText) as { chain: { stream: string; seq: number } };
  const [prev_hash, this_hash] = [text.slice(-145, -81), text.slice(-66, -2)];
  return { eventText, prev_hash, this_hash, stream: chain.stream, seq: chain.seq };
}

/** The line of these parts. */
export function formatLine({ eventText, prev_hash, this_hash }: Line): string {
  return `{"event":${eventText},"prev_hash":"${prev_hash}","this_hash":"${this_hash}"}`;
}

/** The hash that the chain's rule gives; it needs no key, so a forger can compute it as well. */
export function hashOf(prev_hash: string, eventText: string): string {
  return createHash('sha256').update(prev_hash).update(eventText).digest('hex');
}

/** Lines of the one segment in a folder. */
export async function readLines(folder: string): Promise<readonly string[]> {
  return (await readFile(await segmentIn(folder), 'utf8')).trimEnd().split('\n');
}

/** Copies a ledger folder and rewrites the lines of its one segment. */
export async function copyLedger(
  folder: string,
  rewrite: (lines: readonly string[]) => readonly string[],
): Promise<{ readonly path: string } & AsyncDisposable> {
  const copy = await makeTempDir();
  const lines = rewrite(await readLines(folder));
  const name = basename(await segmentIn(folder));
  await writeFile(join(copy.path, name), `${lines.join('\n')}\n`);
  return copy;
}

async function segmentIn(folder: string): Promise<string> {
  const segments = (await readdir(folder)).filter((name) => /^\d{20}\.ndjson$/.test(name));
  if (segments.length !== 1) throw new Error(`one segment expected, there are ${segments.length}`);
  return join(folder, segments[0] ?? '');
}

/**
 * Changes one event and hashes everything after it again, in its stream: the forgery that a chain by
 * itself cannot show.
 */
export function rewriteChain(
  lines: readonly string[],
  target: { readonly stream: string; readonly seq: number },
  change: (eventText: string) => string,
): readonly string[] {
  let head: string | null = null;
  return lines.map((text) => {
    const line = parseLine(text);
    if (line.stream !== target.stream || line.seq < target.seq) return text;
    const eventText = line.seq === target.seq ? change(line.eventText) : line.eventText;
    const prev_hash = head ?? line.prev_hash;
    head = hashOf(prev_hash, eventText);
    return formatLine({ ...line, eventText, prev_hash, this_hash: head });
  });
}

/**
 * The store's rows at the mercy of a superuser, who first takes the triggers away. Each tampering is
 * undone afterwards.
 */
export async function openRows(admin: pg.Client): Promise<{
  tamper(sql: string, parameters: readonly unknown[]): Promise<void>;
  restore(): Promise<void>;
}> {
  // A generated column cannot be inserted; the server computes it again.
  const found = await admin.query<{ names: string }>(
    `SELECT string_agg(quote_ident(attname), ', ') AS names FROM pg_attribute
     WHERE attrelid = 'audit.records'::regclass AND attnum > 0 AND attgenerated = ''`,
  );
  const columns = found.rows[0]?.names ?? '';
  await admin.query('ALTER TABLE audit.records DISABLE TRIGGER USER');
  await admin.query(`CREATE TEMP TABLE original AS SELECT ${columns} FROM audit.records`);
  return {
    tamper: async (sql, parameters) => {
      const done = await admin.query(sql, [...parameters]);
      if (!done.rowCount) throw new Error(`nothing was tampered with: ${sql}`);
    },
    restore: async () => {
      await admin.query('DELETE FROM audit.records');
      await admin.query(`INSERT INTO audit.records (${columns}) SELECT ${columns} FROM original`);
    },
  };
}
