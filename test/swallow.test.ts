/**
 * No failed audit write is dropped in silence: the linter's rules hold for everything between record() and
 * the ledger, and each of them finds the fault that it is for. A promise that nobody awaits is an
 * exception, listed here with what makes sure that it never rejects.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const WAY = ['sdk/**/*.ts', 'agent/append/**/*.ts', 'agent/receive/**/*.ts', 'ledger/**/*.ts'];
const FLOATING = '@typescript-eslint/no-floating-promises';
const FILES = [...WAY, 'cli/emit*.ts'];

/**
 * `void` before a promise says that it is not awaited. Why none of these can reject for an event that fails;
 * should one reject for a bug, that is an unhandled rejection, which ends the process.
 */
const UNAWAITED: Readonly<Record<string, string>> = {
  'agent/append/append.ts: void answered.then(':
    'intake.settle answers with outcomes, never rejects',
  'agent/append/disk-watch.ts: void look()': 'a measure that fails is logged, never thrown',
  'agent/append/receipt-search.ts: void search()': 'every caller is answered, by giveUp at worst',
  'agent/receive/connection.ts: void answered.then(': 'the append stage answers with outcomes',
  'agent/receive/connection.ts: void takeAll()': 'a frame that is refused ends the connection',
  'sdk/append-file.ts: void run()': 'commit() answers with a Written, never rejects',
  'sdk/subjects/subjects.ts: void answer': 'whoever waits is answered or refused, within timeoutMs',
  'sdk/outbox/relay.ts: void running': 'run() counts and tells of each failure, and tries again',
};

const strict = new ESLint({
  cwd: ROOT,
  overrideConfig: { rules: { [FLOATING]: ['error', { ignoreVoid: false }] } },
});

async function faultsOf(results: readonly ESLint.LintResult[]): Promise<string[]> {
  return results.flatMap(({ filePath, messages }) => {
    const lines = readFileSync(filePath, 'utf8').split('\n');
    return messages.map(({ line, ruleId }) => {
      const text = lines[line - 1]?.trim() ?? '';
      const place = /void \w+(?:\.then\(|\(\))?/.exec(text)?.[0];
      const path = filePath.slice(ROOT.length + 1);
      return ruleId === FLOATING && place !== undefined
        ? `${path}: ${place}`
        : `${path}:${line} ${ruleId} ${text}`;
    });
  });
}

test('between record() and the ledger no failure is dropped, and what is not awaited is listed', async () => {
  const results = await strict.lintFiles(FILES);
  expect(results.length).toBeGreaterThan(60);
  const faults = new Set(await faultsOf(results));
  expect([...faults].sort()).toEqual(Object.keys(UNAWAITED).sort());
});

/** Each is put at the end of the function-less file sdk/index.ts. */
const PLANTED: readonly (readonly [string, string])[] = [
  ['try { await record(); } catch {}', 'sealtrail/no-swallow'],
  ['try { await record(); } catch (error) { /* later */ }', 'sealtrail/no-swallow'],
  ['await record().catch(() => undefined);', 'sealtrail/no-swallow'],
  ['await record().catch(() => {});', 'sealtrail/no-swallow'],
  ['await record().catch((error) => { return; });', 'sealtrail/no-swallow'],
  ['await record().catch(() => void 0);', 'sealtrail/no-swallow'],
  ['await record().then(() => 1, () => null);', 'sealtrail/no-swallow'],
  ['const ignore = () => undefined; await record().catch(ignore);', 'sealtrail/no-swallow'],
  ['function ignore() {} await record().catch(ignore);', 'sealtrail/no-swallow'],
  ['record();', FLOATING],
  ['void record();', FLOATING],
  ['record().then(() => 1);', FLOATING],
  ['void record().finally(() => 1);', FLOATING],
  ['[1, 2].forEach(async () => record());', '@typescript-eslint/no-misused-promises'],
];

test.each(PLANTED)('the rules find a planted %s', async (statement, ruleId) => {
  const text = `async function record(): Promise<void> {}
export async function planted(): Promise<void> { ${statement} }`;
  const [result] = await strict.lintText(text, { filePath: join(ROOT, 'sdk/index.ts') });
  expect(result?.messages.map((message) => message.ruleId)).toContain(ruleId);
});

test('the rules let a failure pass that is answered with, or told', async () => {
  const text = `async function record(): Promise<void> {}
export async function told(tell: (error: unknown) => void): Promise<boolean> {
  try { await record(); } catch (error) { tell(error); }
  await record().catch(tell);
  return record().then(() => true, () => false);
}`;
  const [result] = await strict.lintText(text, { filePath: join(ROOT, 'sdk/index.ts') });
  expect(result?.messages).toEqual([]);
});
