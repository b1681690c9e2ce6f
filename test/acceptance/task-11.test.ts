/** Task 11: our fields in ECS and in OCSF: the published table, and what the two sinks really get. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { checkEcs, readEcsStandard } from '../support/ecs-check.ts';
import { createOcsfCheck, readOcsfStandard } from '../support/ocsf-check.ts';
import { describeTask } from './criterion.ts';
import { expectDefence, readSection } from './documents.ts';
import { at, draft, openTrail, type Document, type Trail } from './trail.ts';

const MAPPING = 'docs/mapping.md';
const STANDARDS = join(import.meta.dirname, '../../../shared/standards');

let trail: Trail;
let eventId: string;
let ecs: Document;
let ocsf: Document;

beforeAll(async () => {
  trail = await openTrail();
  const { event_id } = await trail.audit.record(
    draft({
      outcome: 'denied',
      actor: {
        type: 'admin',
        id: 'u-admin',
        name: 'Alice',
        on_behalf_of: { type: 'user', id: 'u-88', name: 'Carl' },
      },
      source: { ip: '192.0.2.44', user_agent: 'till/7' },
      correlation: { request_id: 'req-1', trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' },
      metadata: { row_count: 12 },
    }),
  );
  eventId = event_id;
  ecs = (await trail.siem('ecs')).find((one) => at(one, 'event.id') === event_id) ?? {};
  ocsf = (await trail.siem('ocsf')).find((one) => at(one, 'metadata.uid') === event_id) ?? {};
});
afterAll(() => trail[Symbol.asyncDispose]());

/** Body rows of the first table of a section, cell by cell. */
function readTable(heading: string): string[][] {
  const rows = readSection(MAPPING, heading)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return rows.slice(2);
}

/** Names in backticks. */
function namesIn(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
}

describeTask(11, (criterion) => {
  criterion('three columns, at least twelve fields: ours, ECS, OCSF', async () => {
    const rows = readTable('Field by field');
    const whole = rows.filter(
      ([, inEcs, inOcsf]) => namesIn(inEcs).length * namesIn(inOcsf).length > 0,
    );
    expect(whole.length).toBeGreaterThanOrEqual(12);
    // The table is what happens: a field of the event stands where its row says, in both files.
    const record = (await trail.ledger()).find(({ event }) => event.event_id === eventId);
    const carried = [
      'event_id',
      'actor.id',
      'actor.name',
      'resource.id',
      'source.ip',
      'source.user_agent',
    ];
    for (const field of [
      ...carried,
      'source.service',
      'correlation.request_id',
      'correlation.trace_id',
    ]) {
      const row = rows.find(([ours]) => namesIn(ours).includes(field));
      const value = at(record?.event, field);
      expect(value).toBeTypeOf('string');
      expect([field, namesIn(row?.[1]).map((path) => at(ecs, path))]).toEqual([
        field,
        expect.arrayContaining([value]),
      ]);
      expect([field, namesIn(row?.[2]).map((path) => at(ocsf, path))]).toEqual([
        field,
        expect.arrayContaining([value]),
      ]);
    }
  });

  criterion('fields without a clean ECS home are named, with what follows', () => {
    const homeless = readTable('Fields without a clean home').filter(([, inEcs]) =>
      /^none/.test(inEcs ?? ''),
    );
    expect(homeless.length).toBeGreaterThan(0);
    for (const [field, , , follows] of homeless)
      expect([field, (follows ?? '').split(' ').length > 2]).toEqual([field, true]);
    const names = homeless.flatMap(([ours]) => namesIn(ours));
    expect(names).toContain('resource.type');
    expect(at(ecs, 'sealtrail.resource.type')).toBe('customer');
  });

  criterion('an OCSF required attribute we did not capture was found and added', () => {
    const added = readTable('What OCSF requires').filter(([, inEvent]) =>
      /added/.test(inEvent ?? ''),
    );
    const names = added.flatMap(([attribute]) => namesIn(attribute));
    expect(names).toEqual(
      expect.arrayContaining(['severity_id', 'activity_id', 'category_uid', 'type_uid']),
    );
    expect(ocsf).toMatchObject({
      severity_id: expect.any(Number),
      activity_id: expect.any(Number),
      category_uid: 6,
      type_uid: Number(ocsf['class_uid']) * 100 + Number(ocsf['activity_id']),
      status_id: 2,
    });
  });

  criterion('the stance is stated: own schema, standard names, a rename and not a redesign', () => {
    expectDefence(MAPPING, 'The stance', {
      says: [/our own schema/, /rename, not a redesign/, /hash/],
    });
    expectDefence(MAPPING, 'Class and category come from the vocabulary', {
      says: [/OCSF class/],
      names: ['config/vocabulary.json', 'schemas/vocabulary.ts'],
    });
  });

  criterion(
    'one internal event leaves in ECS shape on one sink and in OCSF shape on another',
    async (say) => {
      const [all, both] = [await trail.siem('ecs'), await trail.siem('ocsf')];
      expect(all.map((one) => at(one, 'event.id')).toSorted()).toEqual(
        both.map((one) => at(one, 'metadata.uid')).toSorted(),
      );
      expect(at(ecs, 'event.hash')).toBe(at(ocsf, 'raw_data_hash.value'));
      expect([at(ecs, 'ecs.version'), at(ocsf, 'metadata.version')]).toEqual(['9.4.0', '1.8.0']);
      if (!existsSync(STANDARDS)) {
        expect(process.env['SEALTRAIL_REQUIRE_ALL']).not.toBe('1');
        return say('the published schemas are not beside this checkout: not held against them');
      }
      const standard = readEcsStandard();
      const checkOcsf = createOcsfCheck(readOcsfStandard());
      expect(all.flatMap((one) => checkEcs(standard, one))).toEqual([]);
      expect(both.flatMap((one) => checkOcsf(one))).toEqual([]);
      say(`${all.length} + ${both.length} documents hold against ECS 9.4 and OCSF 1.8`);
    },
  );

  criterion(
    'it is said where CloudTrail and cloud audit logs fit, and why they do not cover this',
    () => {
      expectDefence(MAPPING, 'Where CloudTrail', {
        says: [/CloudTrail/, /GCP/, /business actions?/, /denial/],
      });
    },
  );
});
