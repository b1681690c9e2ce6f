/** What is no configuration: told at once, by line and column, with what to do. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../agent/config.ts';
import { faultsOf, LEAST } from '../support/config.ts';
import { makeTempDir } from '../support/ledger.ts';

describe('a file that is not one', () => {
  test('is one fault, at once, when it is far too long to be the right file', async () => {
    await using temp = await makeTempDir();
    const path = join(temp.path, 'sealtrail.yaml');
    await writeFile(path, 'a: [b]\n'.repeat(2 ** 20));
    const read = await loadConfig(path, {});
    expect(read.ok ? [] : read.error).toMatchObject([{ line: 0, field: '' }]);
    expect(read.ok ? '' : read.error[0]?.message).toContain('is it the right file?');
  });

  test('is one fault without a line when it cannot be read', async () => {
    await using dir = await makeTempDir();
    const missing = await loadConfig(join(dir.path, 'none.yaml'), {});
    expect(missing).toMatchObject({ error: [{ line: 0, column: 0, field: '' }] });
    const folder = await loadConfig(dir.path, {});
    expect(folder).toMatchObject({
      error: [{ line: 0, message: expect.stringContaining('EISDIR') }],
    });
  });

  test.each([
    ['', 1, 'must be a section'],
    ['- a\n- b\n', 1, 'must be a section'],
    ['a: [1, 2\nb: 3\n', 2, 'is not YAML'],
    ['a:\n\tb: 1\n', 2, 'indent with spaces'],
    ['a: 1\n---\nb: 2\n', 2, 'one document'],
    ['a: !secret x\n', 1, 'tags have no meaning'],
    ['a: &x 1\nb: *x\n', 2, 'is an alias'],
    ['? [a]\n: 1\n', 1, 'key that is not a word'],
  ])('%j is refused at line %i: %s', async (text, line, message) => {
    const faults = await faultsOf(text);
    expect(faults[0]).toMatchObject({ line, message: expect.stringContaining(message) });
  });

  test('names a duplicate key where it stands the second time', async () => {
    const faults = await faultsOf('tenants: []\nexporters: {}\ntenants: []\n');
    expect(faults).toEqual([
      {
        line: 3,
        column: 1,
        field: '/tenants',
        message: 'the key "tenants" stands twice; keep one of the two',
      },
    ]);
  });

  test('is refused at once however deep it nests or far its aliases would expand', async () => {
    const laughs = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [*l${i}, *l${i}]`);
    const bombs = [
      `a: ${'['.repeat(100_000)}`,
      `a: ${'{a: '.repeat(100_000)}`,
      `${'- '.repeat(100_000)}1`,
      `a: ${'['.repeat(500)}${']'.repeat(500)}`,
    ];
    for (const bomb of bombs) {
      const faults = await faultsOf(bomb);
      expect(faults).toMatchObject([{ message: expect.stringContaining('nests deeper') }]);
    }
    const faults = await faultsOf(`l0: &l0 x\n${laughs.join('\n')}\n`);
    expect(faults[0]?.message).toContain('is an alias');
  });

  test('treats __proto__ and << as the unknown keys that they are', async () => {
    const faults = await faultsOf(
      `{"__proto__": {"data_dir": "x"}, ${JSON.stringify(LEAST).slice(1)}`,
    );
    expect(faults).toMatchObject([{ message: expect.stringContaining('unknown key "__proto__"') }]);
    const merged = await faultsOf({ ...LEAST, '<<': { data_dir: 'x' } });
    expect(merged).toMatchObject([{ message: expect.stringContaining('unknown key "<<"') }]);
  });
});

describe('a fault of form', () => {
  const WRONG = `receivers:
  socket:
    tenants: ['*']
    mode: 0660
    connections_max: many
exporters:
  file/ecs:
    path: ecs.ndjson
    format: csv
  filee/ocsf:
    path: ocsf.ndjson
  sentinel: {}
tenants: []
service:
  telemetry:
    log_level: loud
`;

  test('stands with line, column, field and what to do; all of them at once', async () => {
    const faults = await faultsOf(WRONG);
    expect(faults).toEqual([
      {
        line: 4,
        column: 11,
        field: '/receivers/socket/mode',
        message: 'must be text; put it in quotes',
      },
      {
        line: 5,
        column: 22,
        field: '/receivers/socket/connections_max',
        message: 'must be a whole number',
      },
      {
        line: 9,
        column: 13,
        field: '/exporters/file~1ecs/format',
        message: 'must be one of ecs, ocsf, native',
      },
      {
        line: 10,
        column: 3,
        field: '/exporters/filee~1ocsf',
        message: 'unknown key "filee/ocsf"; did you mean "file/ocsf"?',
      },
      {
        line: 12,
        column: 3,
        field: '/exporters/sentinel',
        message: expect.stringContaining('type is postgresql, file, elasticsearch'),
      },
      { line: 13, column: 10, field: '/tenants', message: 'is empty; it needs at least one' },
      {
        line: 16,
        column: 16,
        field: '/service/telemetry/log_level',
        message: 'must be one of debug, info, warn, error',
      },
    ]);
  });

  test('a mistyped key is one fault, also where the key is required', async () => {
    const faults = await faultsOf('recievers: {}\nexporters: {}\ntenants: [{ di: acme }]\n');
    expect(faults).toEqual([
      {
        line: 1,
        column: 1,
        field: '/recievers',
        message: 'unknown key "recievers"; did you mean "receivers"?',
      },
      {
        line: 3,
        column: 13,
        field: '/tenants/0/di',
        message: 'unknown key "di"; did you mean "id"?',
      },
    ]);
  });

  test('a missing key is looked for where it belongs', async () => {
    const faults = await faultsOf('receivers:\n  socket:\n    mode: "0600"\nexporters: {}\n');
    expect(faults).toEqual([
      { line: 1, column: 1, field: '/tenants', message: 'tenants is missing; add it' },
      {
        line: 2,
        column: 3,
        field: '/receivers/socket/tenants',
        message: 'tenants is missing; add it',
      },
    ]);
  });
});
