// An application with an outbox, or its relay, in a process of its own, to be killed at a given point. It
// writes one line for each point it reaches.
//   node outbox.mjs '{"mode": "delete" | "relay", "url", "socketPath", "vocabulary", …}'
// delete: deletes customer `id` with its audit row, commits, says `committed`, and stays.
// relay: ships; with `stopAtMark` it says `acked` when the agent has acked, and never marks the rows.
import { writeSync } from 'node:fs';
import pg from 'pg';
import { createAudit } from '../../../dist/sdk/index.js';
import { createOutbox, createRelay } from '../../../dist/sdk/outbox.js';

const { mode, url, id, stopAtMark, batchRows = 200, ...options } = JSON.parse(process.argv[2]);
const say = (what) => writeSync(1, `${what}\n`);
const audit = createAudit({ ...options, tenant: 'acme' });

async function connect() {
  const client = new pg.Client(url);
  await client.connect();
  return client;
}

if (mode === 'delete') {
  const client = await connect();
  await client.query('BEGIN');
  await client.query('DELETE FROM customers WHERE id = $1', [id]);
  await createOutbox(audit).recordInTransaction(client, {
    action: 'customer.delete',
    outcome: 'success',
    actor: { type: 'user', id: 'u-17', name: 'Ada' },
    resource: { type: 'customer', id },
  });
  await client.query('COMMIT');
  say('committed');
} else {
  const relay = createRelay({
    audit,
    batchRows,
    pollMs: 100,
    connect: async () => {
      const client = await connect();
      if (!stopAtMark) return client;
      const query = client.query.bind(client);
      client.query = (text, values) => {
        if (!text.includes('SET shipped_at')) return query(text, values);
        say('acked');
        return new Promise(() => undefined);
      };
      return client;
    },
  });
  process.on('SIGTERM', () => {
    void relay
      .stop()
      .then(() => audit.close())
      .then(() => process.exit(0));
  });
  say('running');
}
setInterval(() => undefined, 60_000);
