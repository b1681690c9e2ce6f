/**
 * No planted secret ever appears in ledger, store, ECS, OCSF or native output, nor in anything else that
 * the agent writes or says: dead letters, a tap, its log, /metrics, status, refusals, errors of the SDK. Real
 * agent, real PostgreSQL, every way in. (What redaction alone does is in test/redaction/leak.test.ts.)
 */
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditEvent } from '../../schemas/event.ts';
import {
  DEFAULT_EXPORTERS,
  runCli,
  startAgentProcess,
  type AgentProcess,
} from '../support/agent-process.ts';
import { startElasticsearch, type FakeElasticsearch } from '../support/elasticsearch.ts';
import { openRoutes, type Routes } from '../support/routes.ts';
import {
  anySecret,
  around,
  embed,
  PLACES,
  secretName,
  word,
  type EventBuilder,
  type Planted,
} from '../support/secrets.ts';
import { makeEvent } from '../support/events.ts';

const RUNS = 6;
const EVENTS_PER_RUN = 60;

let agent: AgentProcess;
let routes: Routes;
let siem: FakeElasticsearch;
let refusals = 0;
/** What a tap has shown so far. */
let tapped: () => string;

beforeAll(async () => {
  // Refuses every third event, and quotes all of it in the reason, as a mapping error may.
  siem = await startElasticsearch({
    refuses: (document) => (refusals++ % 3 === 0 ? JSON.stringify(document) : null),
  });
  agent = await startAgentProcess({
    exporters: {
      ...DEFAULT_EXPORTERS,
      'file/native': { path: 'siem/native.ndjson', format: 'native' },
      elasticsearch: { endpoints: [siem.url] },
    },
  });
  routes = await openRoutes(agent);
  tapped = await openTap();
});
afterAll(async () => {
  await routes[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  await siem[Symbol.asyncDispose]();
});

/** Looks on from the side; resolves once the agent shows what comes. */
function openTap(): Promise<() => string> {
  const asked = request({ socketPath: join(agent.dir, 'admin.sock'), path: '/tap' });
  return new Promise((done, fail) => {
    asked.on('error', fail).on('response', (answer) => {
      let shown = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (shown += chunk));
      answer.on('error', () => undefined);
      done(() => shown);
    });
    asked.setHeader('Host', 'localhost').end();
  });
}

const build: EventBuilder = (metadata, over = {}) =>
  makeEvent({
    event_id: ulid(),
    event: { ...makeEvent().event, action: 'customer.export', time: new Date().toISOString() },
    metadata,
    ...over,
  });

/** An event with a secret in it, good or bad. */
interface Planting {
  readonly secret: Planted;
  readonly event: AuditEvent;
  readonly route: number;
}

/** What makes the event one that is refused, with the secret in the very field that is to blame. */
const SPOILED: readonly ((text: string) => AuditEvent)[] = [
  (text) => build({}, { event: { ...build({}).event, action: text } }),
  (text) => build({}, { resource: { type: 'customer', id: 'c', tenant_id: text } }),
  (text) => build({}, { event_id: text }),
  (text) => build({ [text]: '\u0000' }),
  (text) => build({ a: { [text]: '\ud800' } }),
  (text) => build({ [`${text}\ud800`]: 1 }),
  (text) => build({ [text]: 2 ** 60 }),
  (text) => build({ ['__proto__x'.slice(0, 9)]: text, [text]: { ['__proto__x'.slice(0, 9)]: 1 } }),
  (text) => build({}, { [text]: text }),
  (text) => build({ text: text.repeat(Math.ceil(70_000 / text.length)) }),
];

const spoken = anySecret;
const embedded = fc
  .tuple(spoken, around, around, fc.constantFrom(...PLACES, ...SPOILED))
  .map(([secret, before, after, place]) => ({
    secret,
    event: place(embed(secret.text, before, after), build),
  }));
const named = fc.tuple(secretName, word).map(([name, raw]) => ({
  secret: { raw: [raw], text: raw },
  event: build({ a: [{ [name]: raw }] }),
}));
const planting: fc.Arbitrary<Planting> = fc
  .tuple(fc.oneof({ arbitrary: embedded, weight: 5 }, named), fc.nat(5))
  .map(([one, route]) => ({ ...one, route }));

/** A file that was renamed meanwhile. */
function gone(error: NodeJS.ErrnoException): null {
  if (error.code !== 'ENOENT') throw error;
  return null;
}

/** Everything the agent has written and said, by where. */
async function readEverything(): Promise<ReadonlyMap<string, string>> {
  await agent.delivered();
  const found = new Map<string, string>();
  for (const folder of ['ledger', 'siem', 'cursors', 'dead-letter']) {
    const names = await readdir(join(agent.dir, folder)).catch(() => []);
    for (const name of names) {
      const text = await readFile(join(agent.dir, folder, name), 'utf8').catch(gone);
      // What took its place is read with the next events.
      if (text !== null) found.set(`${folder}/${name}`, text);
    }
  }
  found.set('a tap', tapped());
  found.set('its output', agent.output());
  found.set(
    'the log of PostgreSQL',
    await readFile(join(agent.dir, 'postgres/server.log'), 'utf8'),
  );
  found.set('/metrics', await (await fetch(`${agent.adminUrl}/metrics`)).text());
  found.set('status', JSON.stringify(await agent.status()));
  found.set('documents in the SIEM', JSON.stringify([...siem.documents.values()]));
  found.set('dlq list', (await runCli(['dlq', 'list', '--data-dir', agent.dir])).stdout);
  found.set('the store', await dumpStore(await agent.databaseUrl('admin')));
  return found;
}

/** All rows of all tables, as text. */
async function dumpStore(url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'audit'`,
    );
    const texts: string[] = [];
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      texts.push(...rows.map(({ row }) => row));
    }
    expect(texts.length).toBeGreaterThan(10);
    return texts.join('\n');
  } finally {
    await client.end();
  }
}

/** A secret as it stands in a text, and as JSON writes it. */
const spellingsOf = (raw: string): readonly string[] => [raw, JSON.stringify(raw).slice(1, -1)];

test('no planted secret ever appears in ledger, store, sinks, dead letters, tap, log, metrics or refusals', async () => {
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(planting, { minLength: EVENTS_PER_RUN, maxLength: EVENTS_PER_RUN }),
      async (plantings) => {
        const said = await Promise.all(
          plantings.map(({ event, route }) => routes.all[route]!.send(event)),
        );
        sent += plantings.length;
        const everything = [...(await readEverything()), ['what the way in said', said.join('\n')]];
        const leaks = plantings.flatMap(({ secret, event, route }) =>
          everything
            .filter(([, text]) =>
              secret.raw.some((raw) => spellingsOf(raw).some((one) => text!.includes(one))),
            )
            .map(([where]) => ({ where, route: routes.all[route]!.name, secret, event })),
        );
        expect(leaks).toEqual([]);
      },
    ),
    { numRuns: RUNS, interruptAfterTimeLimit: 540_000, markInterruptAsFailure: true },
  );
  // Most were taken, and some were refused: both ways were looked at.
  const { acks_total, nacks_total, sinks } = await agent.status();
  expect(sent).toBeGreaterThanOrEqual(RUNS * EVENTS_PER_RUN);
  expect(acks_total).toBeGreaterThan(sent / 3);
  expect(tapped().split('\n').length).toBeGreaterThan(sent / 4);
  expect(sinks.find(({ name }) => name === 'elasticsearch')?.dead_letters).toBeGreaterThan(20);
  expect(Object.keys(nacks_total).length).toBeGreaterThan(3);
  expect((await runCli(['verify', agent.dir])).code).toBe(0);
}, 600_000);
