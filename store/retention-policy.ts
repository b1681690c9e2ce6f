/**
 * How long each class is kept, as the store has it: the newest version of each class is in force, and
 * older ones stay to be read. Only the owner sets them, so that no purge can shorten its own limits.
 */
import type { ClientBase } from 'pg';

export interface StoredClass {
  readonly class: string;
  readonly regime: string;
  readonly days: number;
}

/** The classes in force, by name. */
export async function readClasses(client: ClientBase): Promise<readonly StoredClass[]> {
  const found = await client.query<StoredClass>(
    `SELECT DISTINCT ON (class) class, regime, days FROM audit.retention_classes
     ORDER BY class, version DESC`,
  );
  return found.rows;
}

/** Puts classes in force, in one transaction. */
export async function setClasses(
  client: ClientBase,
  classes: readonly StoredClass[],
  by: string,
): Promise<void> {
  await client.query(
    `INSERT INTO audit.retention_classes (class, regime, days, set_by)
     SELECT class, regime, days, $4 FROM unnest($1::text[], $2::text[], $3::int4[]) AS n (class, regime, days)`,
    [
      classes.map((one) => one.class),
      classes.map(({ regime }) => regime),
      classes.map(({ days }) => days),
      by,
    ],
  );
}

/** The classes of `wanted` that the store has not, or has otherwise. */
export function findChanges(
  wanted: Readonly<Record<string, { readonly regime: string; readonly days: number }>>,
  stored: readonly StoredClass[],
): readonly StoredClass[] {
  return Object.entries(wanted).flatMap(([name, { regime, days }]) => {
    const there = stored.find((one) => one.class === name);
    return there?.days === days && there.regime === regime ? [] : [{ class: name, regime, days }];
  });
}
