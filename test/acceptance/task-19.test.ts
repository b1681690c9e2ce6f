/** Task 19: controls mapped to regimes, clause by clause, each to what is there. */
import { expect } from 'vitest';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkEvent } from '../../schemas/event-check.ts';
import { namesIn, readRows, type Row } from '../docs/compliance-rows.ts';
import { createSealer } from '../store/sealed.ts';
import { describeTask } from './criterion.ts';

const PAGE = 'docs/COMPLIANCE.md';
const read = (path: string): string =>
  readFileSync(join(import.meta.dirname, '../..', path), 'utf8');

const clausesOf = (rows: readonly Row[], section: string): readonly string[] =>
  rows
    .filter((row) => row.section === section)
    .flatMap(({ cells }) => (cells['clause'] ?? '').split(', '));

describeTask(19, (criterion) => {
  const rows = readRows();

  criterion('a table, clause by clause, for all four regimes', (say) => {
    const wanted: Readonly<Record<string, readonly string[]>> = {
      'PCI DSS': [
        ...[
          '10.2.1',
          '10.2.1.1',
          '10.2.1.2',
          '10.2.1.3',
          '10.2.1.4',
          '10.2.1.5',
          '10.2.1.6',
          '10.2.1.7',
        ],
        ...[
          '10.2.2',
          '10.3.1',
          '10.3.2',
          '10.3.3',
          '10.3.4',
          '10.4.1',
          '10.4.1.1',
          '10.4.2',
          '10.4.3',
        ],
        ...['10.5.1', '10.6.1', '10.6.2', '10.6.3'],
      ],
      HIPAA: [
        '164.312(b) recording',
        '164.312(b) access',
        '164.316(b)(2)(i)',
        '164.316(b)(2)(ii)',
        '164.316(b)(2)(iii)',
      ],
      'SOC 2': [
        'CC6.1',
        'CC6.2',
        'CC6.3',
        'CC6.6',
        'CC6.7',
        'CC6.8',
        'CC7.1',
        'CC7.2',
        'CC7.3',
        'CC7.4',
        'CC7.5',
      ],
      GDPR: [
        'Art. 6(1)',
        'Art. 5(1)(e)',
        'Art. 5(1)(f)',
        'Art. 17',
        'Art. 17(3)',
        'Art. 25',
        'Art. 30',
        'Art. 32',
      ],
    };
    let count = 0;
    for (const [section, clauses] of Object.entries(wanted)) {
      const there = clausesOf(rows, section);
      expect(there).toEqual(expect.arrayContaining([...clauses]));
      count += there.length;
    }
    // That what they name exists, down to column and command: test/docs/compliance.test.ts.
    for (const { cells } of rows.filter((row) => 'clause' in row.cells)) {
      expect(Object.keys(cells)).toEqual([
        'clause',
        'asks for',
        'control',
        'where',
        'shown by',
        'gap',
      ]);
      expect(namesIn(cells['shown by'] ?? '').length, cells['clause']).toBeGreaterThan(0);
    }
    say(`${count} clauses`);
  });

  criterion("PCI DSS 10's record contents, field by field", () => {
    const facts = rows.filter((row) => 'fact' in row.cells);
    expect(facts.map(({ cells }) => cells['fact'])).toEqual([
      ...['who', 'type of event', 'date and time'],
      ...['success or failure', 'where it came from', 'what it touched'],
    ]);
    // Each names a member that no event can be without.
    const { eventText } = createSealer().seal();
    for (const { cells } of facts) {
      const [member = ''] = namesIn(cells['member of the event'] ?? '');
      const path = member.split('.');
      const event = JSON.parse(eventText) as Record<string, Record<string, unknown>>;
      delete event['chain'];
      expect(checkEvent(event)).toMatchObject({ ok: true });
      delete event[path[0] ?? '']?.[path[1] ?? ''];
      expect([member, checkEvent(event)]).toMatchObject([member, { ok: false }]);
    }
    // Time sync is not ours: what the page says of the service that cannot set the clock is so.
    expect(read('deploy/systemd/sealtrail.service')).toContain('ProtectClock=yes');
    const sync = rows.filter(({ cells }) => /^10\.6\./.test(cells['clause'] ?? ''));
    expect(sync.map(({ cells }) => cells['gap'])).toEqual(['G10', 'G10', 'G10']);
  });

  criterion("HIPAA's access-not-content maps to an implementation", () => {
    const row = rows.find(({ cells }) => cells['clause']?.startsWith('164.312(b) access'));
    expect(namesIn(row?.cells['where'] ?? '')).toEqual(
      expect.arrayContaining(['changes', 'redaction/redaction.ts', 'redaction/rules.ts']),
    );
    expect(row?.cells['shown by']).toContain('test/acceptance/task-09.test.ts');
    // An event with a field's value where its name belongs does not exist in the schema.
    const event = JSON.parse(createSealer().seal().eventText) as Record<string, unknown>;
    delete event['chain'];
    expect(checkEvent({ ...event, changes: ['diagnosis'] })).toMatchObject({ ok: true });
    expect(checkEvent({ ...event, changes: [{ diagnosis: 'flu' }] })).toMatchObject({ ok: false });
  });

  criterion('GDPR erasure maps to tokens and an erasable vault', () => {
    const row = rows.find(
      ({ section, cells }) => section === 'GDPR' && cells['clause'] === 'Art. 17',
    );
    expect(row?.cells['control']).toMatch(/token[^]*vault[^]*erasing its key/);
    expect(namesIn(row?.cells['where'] ?? '')).toEqual(
      expect.arrayContaining(['sealtrail erase', 'sdk/subjects.ts', 'store/vault']),
    );
    expect(row?.cells['shown by']).toContain('test/acceptance/task-17.test.ts');
  });

  criterion('the gaps are listed, with what closes each', (say) => {
    const gaps = rows.filter(({ section }) => section === 'Gaps');
    for (const { cells } of gaps) {
      expect(cells['missing']?.length, cells['gap']).toBeGreaterThan(30);
      expect(cells['what closes it']?.length, cells['gap']).toBeGreaterThan(40);
    }
    // Those that no honest page could leave out.
    const all = gaps.map(({ cells }) => cells['missing']).join('\n');
    for (const known of [/clock/, /at rest/, /superuser/, /review/, /SQL/, /verifies by himself/])
      expect(all).toMatch(known);
    expect(read(PAGE)).toContain('No software makes an organisation compliant');
    say(`${gaps.length} gaps`);
  });
});
