/** docs/COMPLIANCE.md names nothing that does not exist, leaves nothing empty, and hides no gap. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { ARTEFACTS, REGIMES } from '../../auditor/evidence/artefacts.ts';
import { COMMANDS } from '../../cli/commands.ts';
import { AGENT_ACTION_NAMES } from '../../schemas/vocabulary.ts';
import { namesIn, PAGE, readRows, type Row } from './compliance-rows.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const program = new Command();
for (const load of Object.values(COMMANDS)) (await load())(program);
const commands = new Set<string>();
const walk = (command: Command, path: string): void => {
  for (const one of command.commands) {
    commands.add(`${path} ${one.name()}`);
    walk(one, `${path} ${one.name()}`);
  }
};
walk(program, 'sealtrail');

const keys = new Set(
  [...read('docs/CONFIGURATION.md').matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]),
);
const migrations = readdirSync(join(ROOT, 'store/migrations'))
  .map((name) => read(`store/migrations/${name}`).replace(/--.*$/gm, ''))
  .join('\n');
const actions = new Set<string>([
  ...AGENT_ACTION_NAMES,
  ...(JSON.parse(read('config/vocabulary.json')) as { actions: { action: string }[] }).actions.map(
    ({ action }) => action,
  ),
]);
const ECS = new Set([
  'user.id',
  'event.action',
  '@timestamp',
  'event.outcome',
  'source.ip',
  'event.dataset',
]);

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}
const eventSchema = JSON.parse(read('schemas/event.schema.json')) as Schema;
const isMember = (path: string): boolean =>
  path.split('.').reduce<Schema | undefined>((at, name) => at?.properties?.[name], eventSchema) !==
  undefined;

function isSqlName(name: string): boolean {
  const [, object = '', column] = /^audit\.(\w+)(?:\.(\w+))?$/.exec(name) ?? [];
  const made = new RegExp(
    `CREATE (?:OR REPLACE )?(?:TABLE|VIEW|FUNCTION) audit\\.${object}\\b([^;]*);`,
  ).exec(migrations);
  return (
    made !== null && (column === undefined || new RegExp(`\\b${column}\\b`).test(made[1] ?? ''))
  );
}

/** Whether there is what a name in code quotes says. */
function exists(name: string): boolean {
  if (name.startsWith('sealtrail ')) return commands.has(name.replace(/ -.*/, ''));
  if (/^sealtrail_\w+$/.test(name)) return migrations.includes(name);
  if (name.includes('/') || /^[\w-]+\.json$/.test(name)) return existsSync(join(ROOT, name));
  if (keys.has(name) || actions.has(name) || isMember(name) || ECS.has(name)) return true;
  if (name.startsWith('audit.')) return isSqlName(name);
  if (
    ['subject()', 'record()', 'denied', 'admin', 'anchors', 'none', 'log_statement = all'].includes(
      name,
    )
  )
    return true;
  return [...keys].some((key) => key?.startsWith(`${name}.`));
}

const rows = readRows();
const gaps = rows.filter(({ section }) => section === 'Gaps');
const clauses = rows.filter(({ section }) => section !== 'Gaps');
const clauseRows = clauses.filter(({ cells }) => 'clause' in cells);
const faultsOf = (all: readonly Row[]): string[] =>
  all.flatMap(({ section, cells }) =>
    Object.entries(cells).flatMap(([column, cell]) => [
      ...(cell === '' ? [`${section}: a cell of "${column}" is empty`] : []),
      ...namesIn(cell)
        .filter((name) => name !== 'G…' && !exists(name))
        .map((name) => `${section}: there is no ${name}`),
      ...(column === 'shown by' && !namesIn(cell).some((name) => /^test\/.+\.test\.ts$/.test(name))
        ? [`${section}: ${cell} is no test`]
        : []),
      ...(column === 'where' && namesIn(cell).length === 0
        ? [`${section}: ${cell} names nothing`]
        : []),
    ]),
  );

test('every row of every regime is whole, and what it names is there', () => {
  const counts = ['PCI DSS', 'HIPAA', 'SOC 2', 'GDPR'].map(
    (name) => clauses.filter(({ section }) => section === name).length,
  );
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(9);
  expect(faultsOf(rows)).toEqual([]);
});

test('a row that names what is not there is found', () => {
  const page = read(PAGE);
  const plant = (from: string, to: string): string[] => {
    expect(page).toContain(from);
    return faultsOf(readRows(page.replace(from, to)));
  };
  for (const [from, to] of [
    ['`audit.note_access`', '`audit.note_nothing`'],
    ['`audit.records.outcome`', '`audit.records.verdict`'],
    ['`test/acceptance/task-06.test.ts`', '`test/acceptance/task-66.test.ts`'],
    ['`sealtrail auditor list`', '`sealtrail auditor lists`'],
    ['`retention.classes`', '`retention.clauses`'],
    ['`actor.type`', '`actor.typo`'],
    ['`role.grant`', '`role.granted`'],
    ['`ledger/verify.ts`', '`ledger/verified.ts`'],
    ['| six facts in each entry |', '|  |'],
  ] as const)
    expect([from, plant(from, to)]).toEqual([from, [expect.any(String)]]);
});

test('every gap that a row names is described with what closes it, and none is there for nothing', () => {
  const named = clauses.flatMap(({ cells }) => (cells['gap'] ?? '').split(', '));
  for (const name of named) expect(name).toMatch(/^(none|G\d+)$/);
  const listed = gaps.map(({ cells }) => cells['gap']);
  expect(new Set(named.filter((name) => name !== 'none'))).toEqual(new Set(listed));
  expect(new Set(listed).size).toBe(listed.length);
  for (const { cells } of gaps) {
    expect((cells['what closes it'] ?? '').split(' ').length, cells['gap']).toBeGreaterThan(6);
    expect(cells['whose']).toMatch(/^(you|both|ours)/);
  }
});

test('every clause that an artefact is evidence for is a row of its regime', () => {
  const sections = { soc2: 'SOC 2', hipaa: 'HIPAA', pci: 'PCI DSS', gdpr: 'GDPR' };
  for (const { file, clauses: of } of Object.values(ARTEFACTS))
    for (const regime of REGIMES)
      for (const clause of of[regime] ?? []) {
        const found = clauseRows.some(
          ({ section, cells }) =>
            section === sections[regime] &&
            (cells['clause'] ?? '')
              .split(', ')
              .some((one) => one === clause || one.startsWith(`${clause} `)),
        );
        expect([file, regime, clause, found]).toEqual([file, regime, clause, true]);
      }
});
