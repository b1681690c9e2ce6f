// Runs test/acceptance and prints the table of tasks and criteria: pass, fail, or later (the step
// that builds it has not come yet). Exit 1 when a criterion that is due does not pass.
//   npm run acceptance -- [TASK ...] [--json]
import { readFileSync } from 'node:fs';
import { startVitest } from 'vitest/node';

const args = process.argv.slice(2);
const json = args.includes('--json');
const only = args.filter((arg) => /^\d+$/.test(arg)).map(Number);
const unknown = args.filter((arg) => arg !== '--json' && !/^\d+$/.test(arg));
if (unknown.length > 0) {
  console.error(
    `acceptance: ${unknown.join(' ')}? Usage: npm run acceptance -- [TASK ...] [--json]`,
  );
  process.exit(2);
}

const tasks = JSON.parse(readFileSync('test/acceptance/criteria.json', 'utf8')).filter(
  ({ task }) => only.length === 0 || only.includes(task),
);
const results = new Map();
/** Errors outside of any test: a hook, a file that does not load. */
const others = [];

const reporter = {
  onTestCaseResult(test) {
    const task = Number(/^Task (\d+):/.exec(test.parent.name ?? '')?.[1]);
    const { state, errors = [] } = test.result();
    const ms = Math.round(test.diagnostic()?.duration ?? 0);
    results.set(`${task} ${test.name}`, { state, errors, ms, note: test.meta().note });
  },
  onTestSuiteResult: (suite) => others.push(...suite.errors()),
  onTestModuleEnd(module) {
    others.push(...module.errors());
    console.error(`  ${module.ok() ? 'ok  ' : 'FAIL'}  ${module.relativeModuleId}`);
  },
};

const filters = tasks.map(({ task }) => `task-${String(task).padStart(2, '0')}`);
const startedMs = Date.now();
const vitest = await startVitest('test', only.length === 0 ? [] : filters, {
  config: 'vitest.acceptance.config.ts',
  watch: false,
  reporters: [reporter],
});
others.push(...vitest.state.getUnhandledErrors());
await vitest.close();

const rows = tasks.flatMap(({ task, title, criteria, stretch, later = [] }) =>
  [...criteria, ...stretch].map((criterion, index) => {
    const id = `${task}.${index + 1}`;
    const found = results.get(`${task} ${criterion}`);
    const isLater = later === 'all' || later.includes(id);
    const result = isLater ? 'later' : found?.state === 'passed' ? 'pass' : 'fail';
    const { ms = 0, note, errors = [] } = found ?? {};
    return {
      ...{ task, title, id, criterion, stretch: index >= criteria.length, result, ms, note },
      errors: errors.map(describe),
    };
  }),
);
const count = (wanted) => rows.filter(({ result }) => result === wanted).length;
const summary = {
  pass: count('pass'),
  fail: count('fail'),
  later: count('later'),
  errors: others.length,
  seconds: Math.round((Date.now() - startedMs) / 1000),
};

if (json) console.log(JSON.stringify({ ...summary, rows }, null, 2));
else print();
for (const { id, criterion, errors } of rows)
  for (const error of errors) console.error(`\n${id} ${criterion}\n${error}`);
for (const error of others) console.error(`\n${describe(error)}`);
process.exitCode = summary.fail + summary.errors === 0 ? 0 : 1;

/** Message and the frames that are ours. */
function describe({ stack, message }) {
  const lines = (stack ?? message).split('\n');
  return lines.filter((line) => !line.includes('/node_modules/')).join('\n');
}

function print() {
  const color = process.stdout.isTTY ? { pass: 32, fail: 31, later: 90 } : {};
  const paint = (word) => (color[word] ? `\x1b[${color[word]}m${word}\x1b[0m` : word);
  for (const { task, title } of tasks) {
    console.log(`\nTask ${task}  ${title}`);
    for (const row of rows.filter((one) => one.task === task)) {
      const took = row.result === 'later' ? '' : String(row.ms);
      const id = `${row.id}${row.stretch ? '+' : ''}`.padEnd(6);
      const pad = ' '.repeat(5 - row.result.length);
      console.log(`  ${id}${paint(row.result)}${pad} ${took.padStart(6)}  ${row.criterion}`);
      if (row.note) console.log(`${' '.repeat(21)}${row.note}`);
    }
  }
  const { pass, fail, later, errors, seconds } = summary;
  if (errors > 0) console.log(`\n${errors} errors outside of any test`);
  console.log(
    `\n${pass} pass, ${fail} fail, ${later} later (+ stretch goal; time in ms), ${seconds} s`,
  );
}
