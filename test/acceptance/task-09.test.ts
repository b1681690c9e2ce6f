/** Task 9: whatever is planted, wherever, no raw secret comes out of the pipeline. */
import { createServer, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Json } from '../../schemas/event.ts';
import { findForbidden } from '../support/deny-list.ts';
import { makeEvent } from '../support/events.ts';
import { makeTempDir } from '../support/ledger.ts';
import { describeTask } from './criterion.ts';
import { sendRaw } from './raw-client.ts';
import { draft, openTrail, type Trail } from './trail.ts';

const SSN = '536-22-8714';
const PAN = '4539148803436467';
/** Events with a planted secret, recorded through the real pipeline. */
const PLANTED = 500;
const SEED = 20261124;

let trail: Trail;
beforeAll(async () => {
  trail = await openTrail();
});
afterAll(() => trail[Symbol.asyncDispose]());

const digits = (count: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9]{${count}}$`));
const pan = fc
  .tuple(fc.constantFrom('4', '51', '37', '6011'), digits(15))
  .map(([prefix, rest]) => withCheckDigit(`${prefix}${rest}`.slice(0, prefix === '37' ? 14 : 15)));
const ssn = fc
  .tuple(fc.integer({ min: 1, max: 665 }), fc.integer({ min: 1, max: 99 }), digits(4))
  .filter(([, , serial]) => serial !== '0000')
  .map(([area, group, serial]) => [pad(area, 3), pad(group, 2), serial].join('-'));
const password = fc.stringMatching(/^[A-Za-z0-9!#$%]{10,20}$/);
const jwt = fc.stringMatching(/^eyJ[A-Za-z0-9_-]{20}\.eyJ[A-Za-z0-9_-]{30}\.[A-Za-z0-9_-]{40}$/);

/** Metadata that carries a secret, and the raw text that must not be found again. */
interface Planted {
  readonly raw: string;
  readonly metadata: { readonly [name: string]: Json };
}
const spelled = fc.constantFrom<(text: string) => string>(
  (text) => text,
  (text) => text.replace(/(.{4})(?=.)/g, '$1 '),
  (text) => `paid with ${text}, thanks`,
  (text) => JSON.stringify({ value: text }),
);
const buried = fc.constantFrom<(name: string, value: Json) => Planted['metadata']>(
  (name, value) => ({ [name]: value }),
  (name, value) => ({ deep: [{ list: [1, { [name]: value }] }] }),
  (name, value) => ({ note: `see ${String(value)}`, [name]: value }),
);
const anyName = fc.constantFrom('x', 'memo', 'customField7', 'legacy_ref', 'réf');
const planted: fc.Arbitrary<Planted> = fc.oneof(
  fc.tuple(pan, anyName, spelled, buried).map(([raw, name, spell, bury]) => ({
    raw,
    metadata: bury(name, spell(raw)),
  })),
  fc.tuple(ssn, anyName, buried).map(([raw, name, bury]) => ({ raw, metadata: bury(name, raw) })),
  fc.tuple(jwt, anyName, buried).map(([raw, name, bury]) => ({ raw, metadata: bury(name, raw) })),
  fc
    .tuple(password, fc.constantFrom('password', 'userPwd', 'api-key', 'SECRET', 'cookie'))
    .map(([raw, name]) => ({ raw, metadata: { outer: { [name]: raw, kept: true } } })),
);

async function outputs(): Promise<string> {
  const [ecs, ocsf] = [await trail.siem('ecs'), await trail.siem('ocsf')];
  const auditor = await trail.connect('auditor');
  const stored = await auditor.query<{ event_bytes: string }>(
    'SELECT event_bytes FROM audit.sealed_records',
  );
  const rows = stored.rows.map(({ event_bytes }) => event_bytes);
  return [await trail.ledgerText(), JSON.stringify(ecs), JSON.stringify(ocsf), ...rows].join('\n');
}

async function metadataOf(metadata: Planted['metadata']) {
  const { event_id } = await trail.audit.record(draft({ metadata }));
  const record = (await trail.ledger()).find(({ event }) => event.event_id === event_id);
  return record?.event.metadata ?? {};
}

describeTask(9, (criterion) => {
  criterion('whatever the input, a planted secret is absent from the output', async (say) => {
    const cases = fc.sample(planted, { numRuns: PLANTED, seed: SEED });
    await Promise.all(
      cases.map(({ metadata }, n) =>
        trail.audit.record(draft({ metadata: { ...metadata, case: `planted-${n}` } })),
      ),
    );
    const text = await outputs();
    // The controls: the events are there, and a secret would be found as it is looked for.
    expect(cases.filter((_, n) => !text.includes(`"planted-${n}"`))).toEqual([]);
    expect(
      cases.every(({ raw, metadata }) => squeeze(JSON.stringify(metadata)).includes(squeeze(raw))),
    ).toBe(true);
    const squeezed = squeeze(text);
    expect(cases.filter(({ raw }) => squeezed.includes(squeeze(raw)))).toEqual([]);
    say(`${PLANTED} generated events, seed ${SEED}: ledger, store, ECS and OCSF searched`);
  });

  criterion('the same SSN in two events gives one token', async () => {
    const [first, second] = [await metadataOf({ ssn: SSN }), await metadataOf({ ssn: SSN })];
    expect(first['ssn_token']).toMatch(/^tok_/);
    expect(second).toEqual(first);
    expect(await metadataOf({ ssn: '415-61-9023' })).not.toEqual(first);
  });

  criterion('an unknown field whose value is a card number is caught', async () => {
    const seen = await metadataOf({ brandNewField: PAN, order: '4539148803436468' });
    expect(JSON.stringify(seen)).not.toContain(PAN);
    expect(seen['brandNewField']).toContain('6467');
    // One digit off is no card number, and stays.
    expect(seen['order']).toBe('4539148803436468');
  });

  criterion(
    'redaction happens at construction: no raw event reaches the database call',
    async () => {
      // What leaves the SDK, seen on the wire between it and the agent.
      await using tap = await tapSocket(trail.agent.socketPath);
      const audit = await trail.openAudit({ socketPath: tap.path });
      await audit.record(
        draft({ metadata: { ssn: SSN, card: PAN, password: 'hunter-22', marker: 'tapped' } }),
      );
      expect(tap.seen()).toContain('tapped');
      for (const raw of [SSN, PAN, 'hunter-22']) expect(tap.seen()).not.toContain(raw);
      // A client without the SDK: the agent redacts before the append, and the store reads the ledger.
      const { source } = makeEvent();
      const raw = makeEvent({
        metadata: { ssn: SSN, card: PAN, password: 'hunter-22', marker: 'raw client' },
        source: { ...source, user_agent: `agent ${PAN}` },
      });
      const ack = await sendRaw(trail.agent.socketPath, [JSON.stringify(raw)]);
      expect(ack.rejected).toEqual([]);
      const text = await outputs();
      expect(text).toContain('raw client');
      for (const secret of [SSN, PAN, 'hunter-22']) expect(text).not.toContain(secret);
    },
  );

  criterion(
    'access is captured, not content: the names of fields viewed, never values',
    async () => {
      const { event_id } = await trail.audit.record({
        ...draft({ action: 'patient.record_read', resource: { type: 'patient', id: 'p-77' } }),
        changes: ['diagnosis', 'medication', 'HbA1c of 8.1 %'],
        metadata: { diagnosis: 'Type 2 diabetes, stage III', viewed_fields: 2 },
      });
      const record = (await trail.ledger()).find(({ event }) => event.event_id === event_id);
      expect(record?.event).toMatchObject({
        resource: { type: 'patient', id: 'p-77' },
        // What is no name of a field is content.
        changes: ['diagnosis', 'medication', '[redacted:free_text]'],
        // Content that came along all the same: its length stays, its words do not.
        metadata: { diagnosis: { redacted: true, length: 26 }, viewed_fields: 2 },
      });
      expect(await outputs()).not.toContain('diabetes');
    },
  );

  criterion('a deny-list over audit output finds no forbidden pattern', async () => {
    await metadataOf({ a: `card ${PAN}`, b: `ssn ${SSN}`, c: 'password=hunter-22-again' });
    const text = await outputs();
    expect(findForbidden(text)).toEqual([]);
    // The control: each pattern finds what it is there for.
    const leaked = `{"a":"${PAN}","b":"${SSN}","c":"password=hunter-22","d":"eyJhbGciOiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl"}`;
    expect(findForbidden(`${text}\n${leaked}`)).toHaveLength(4);
  });
});

/** Spaces and dashes do not hide a number. */
function squeeze(text: string): string {
  return text.replace(/[\s-]/g, '');
}

function pad(number: number, width: number): string {
  return String(number).padStart(width, '0');
}

/** Appends the Luhn digit. */
function withCheckDigit(body: string): string {
  const sum = [...body].reverse().reduce((total, digit, place) => {
    const value = Number(digit) * (place % 2 === 0 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return `${body}${(10 - (sum % 10)) % 10}`;
}

/** A socket that passes everything on to another one, and keeps what the client sent. */
async function tapSocket(
  target: string,
): Promise<{ path: string; seen(): string } & AsyncDisposable> {
  const dir = await makeTempDir();
  const path = join(dir.path, 'tap.sock');
  const sockets: Socket[] = [];
  let seen = '';
  const server = createServer((client) => {
    const agent = connect(target);
    sockets.push(client, agent);
    client.on('data', (bytes: Buffer) => (seen += bytes.toString('latin1')));
    client.pipe(agent).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    seen: () => seen,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}
