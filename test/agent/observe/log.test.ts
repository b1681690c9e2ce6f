import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LOG_TEXT_MAX, withoutContents } from '../../../agent/observe/log-fields.ts';
import { createAppLog, openLogDestination } from '../../../agent/observe/log.ts';
import type { Logger } from '../../../agent/ports.ts';

interface TestLog {
  readonly log: Logger;
  text(): string;
}

function openLog(
  options: { readonly isTTY?: boolean; readonly level?: 'debug' | 'warn' } = {},
): TestLog {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line), isTTY: options.isTTY === true };
  const log = createAppLog({ level: options.level ?? 'debug', name: 'test', destination });
  return { log, text: () => lines.join('') };
}

const SECRET = 'S3CRET-4111-1111';
/** Every way in which a careless caller may hand over an event, or a part of one. */
const planted = fc.oneof(
  fc.constantFrom<unknown>(
    { secret: SECRET },
    [SECRET],
    new Error(SECRET),
    new Error('outer', { cause: new Error(SECRET) }),
    new Map([[SECRET, SECRET]]),
    Buffer.from(SECRET),
    { toJSON: () => SECRET },
    { toString: () => SECRET },
    [[{ deep: [{ deeper: SECRET }] }]],
    () => SECRET,
    { toString: SECRET, valueOf: SECRET },
    Symbol(SECRET),
  ),
  fc
    .object({ values: [fc.constant(SECRET)], maxDepth: 4 })
    .filter((value) => Object.keys(value).length > 0),
);
const listedName = fc.constantFrom(
  'error',
  'reason',
  'kind',
  'stack',
  'sink',
  'path',
  'seq',
  'component',
);
const strangeName = fc.constantFrom(
  'event',
  'metadata',
  'actor',
  'err',
  'msg',
  'level',
  'toJSON',
  SECRET,
);
const anyFields = fc.record({
  listed: fc.dictionary(listedName, planted, { maxKeys: 4 }),
  strange: fc.dictionary(strangeName, fc.oneof(planted, fc.constant(SECRET)), { maxKeys: 4 }),
});

test('no planted secret appears in the log, wherever an object given to it hides one', () => {
  fc.assert(
    fc.property(
      anyFields,
      fc.constantFrom('debug', 'info', 'warn', 'error'),
      fc.boolean(),
      ({ listed, strange }, level, isTTY) => {
        const { log, text } = openLog({ isTTY });
        log[level]({ ...listed, ...strange }, 'a message');
        log[level](Object.assign(new Error(SECRET), listed), 'a message');
        expect(text()).toContain('a message');
        expect(text()).not.toContain(SECRET);
        expect(text()).not.toContain(Buffer.from(SECRET).toString('base64'));
      },
    ),
    { numRuns: 500 },
  );
});

test('what is on the list is logged, what is not is counted', () => {
  const { log, text } = openLog();
  const fields = {
    component: 'ledger',
    byte: 12,
    seq: 2n ** 60n,
    error: new Error('x'),
    event: { a: 1 },
    user: 'u',
  };
  log.warn(fields, 'a torn tail was set aside');
  expect(JSON.parse(text())).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    name: 'test',
    pid: process.pid,
    component: 'ledger',
    byte: 12,
    seq: '1152921504606846976',
    error: '[withheld]',
    withheld: 2,
    msg: 'a torn tail was set aside',
  });
});

test('of a stack only the frames are logged', () => {
  const { log, text } = openLog();
  log.error({ stack: new Error(`${SECRET}\n    at ${SECRET}`).stack?.split('\n') }, 'failed');
  expect(JSON.parse(text()).stack).toMatch(/^at .*log\.test\.ts:\d+:\d+/);
  expect(text()).not.toContain(SECRET);
});

test('texts are cut, in fields and in the message', () => {
  const { log, text } = openLog();
  log.error({ error: 'e'.repeat(100_000) }, 'm'.repeat(100_000));
  const line = JSON.parse(text());
  expect(line.error).toHaveLength(LOG_TEXT_MAX + 1);
  expect(line.msg).toHaveLength(LOG_TEXT_MAX + 1);
});

test('lines below the level are not written', () => {
  const { log, text } = openLog({ level: 'warn' });
  log.debug({}, 'd');
  log.info({}, 'i');
  log.warn({}, 'w');
  log.error({}, 'e');
  const levels = text()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).level);
  expect(levels).toEqual(['warn', 'error']);
});

test('on a terminal a line is text, and stays one line without terminal escapes', () => {
  const { log, text } = openLog({ isTTY: true });
  log.warn({ component: 'ledger', error: 'two words', byte: 3 }, 'careful\n\u001b[31mred');
  expect(text()).toMatch(
    /^\d{4}-\d\d-\d\dT\S+Z WARN  careful\ufffd\ufffd\[31mred  component=ledger  error="two words"  byte=3\n$/,
  );
});

test('a log that cannot be written costs lines, not the agent, nor its memory', () => {
  const full = openSync('/dev/full', 'w');
  try {
    const destination = openLogDestination(full);
    const log = createAppLog({ level: 'info', name: 'test', destination });
    for (let index = 0; index < 100; index++) log.info({ error: 'x'.repeat(400) }, 'no space');
    const before = process.memoryUsage().rss;
    for (let index = 0; index < 1_000; index++) destination.write(`${index}`.repeat(50_000));
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  } finally {
    closeSync(full);
  }
});

test('every field that the agent logs is on the list', () => {
  const root = join(import.meta.dirname, '../../..');
  const calls = ['agent', 'store', 'cli'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => readFileSync(join(root, folder, path), 'utf8'))
      .flatMap((text) => [...text.matchAll(/\blog\.(?:debug|info|warn|error)\(\s*\{([^{}]*)\}/g)]),
  );
  const names = calls.flatMap(([, fields = '']) =>
    fields
      .split(',')
      .map((field) => /^\s*(\w+)/.exec(field)?.[1])
      .filter((name) => name !== undefined),
  );
  expect(names.length).toBeGreaterThan(20);
  const unlisted = names.filter((name) => !(name in withoutContents({ [name]: 1 })));
  expect(unlisted).toEqual([]);
});
