/**
 * What somebody with the database's superuser does once all is sealed: an access of Alice's is laid upon a colleague,
 * in the bytes and in the columns alike. The triggers that forbid it are off meanwhile, and on again afterwards.
 */
import pg from 'pg';

const FROM = 'u_admin_alice';
const TO = 'u_admin_bob';

/** Rewrites the record of an event; rejects where it is not there. */
export async function layUponColleague(adminUrl: string, eventId: string): Promise<void> {
  const client = new pg.Client(adminUrl);
  await client.connect();
  try {
    await client.query('BEGIN');
    const partition = await partitionOf(client, eventId);
    const triggers = await triggersOf(client, partition);
    await client.query(`ALTER TABLE ${partition} DISABLE TRIGGER USER`);
    const changed = await client.query(
      `UPDATE ${partition} SET event_bytes = replace(event_bytes, $2, $3), actor_id = $3
       WHERE event_id = $1 AND actor_id = $2`,
      [eventId, FROM, TO],
    );
    if (changed.rowCount !== 1) throw new Error(`${eventId} is not in the store`);
    for (const { name, enable } of triggers)
      await client.query(`ALTER TABLE ${partition} ${enable} TRIGGER ${name}`);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

async function partitionOf(client: pg.Client, eventId: string): Promise<string> {
  const found = await client.query<{ partition: string }>(
    'SELECT tableoid::regclass::text AS partition FROM audit.records WHERE event_id = $1',
    [eventId],
  );
  const partition = found.rows[0]?.partition;
  if (partition === undefined) throw new Error(`${eventId} is not in the store`);
  return partition;
}

/** The triggers of a table, and how each was enabled. */
async function triggersOf(
  client: pg.Client,
  table: string,
): Promise<readonly { readonly name: string; readonly enable: string }[]> {
  const found = await client.query<{ name: string; enable: string }>(
    `SELECT quote_ident(tgname) AS name, CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END AS enable
     FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal`,
    [table],
  );
  return found.rows;
}
