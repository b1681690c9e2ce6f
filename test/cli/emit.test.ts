/** `sealtrail emit` against a running agent: every line is recorded or named, and the exit code says which. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  runCli,
  startAgentProcess,
  type AgentProcess,
  type Ran,
} from '../support/agent-process.ts';
import { makeEvent } from '../support/events.ts';
import { makeTempDir } from '../support/ledger.ts';
import { expectEachOnce, readRecords, readStore } from '../support/outcome.ts';
import type { RecordReceipt } from '../../sdk/index.ts';

let agent: AgentProcess;
beforeAll(async () => {
  agent = await startAgentProcess();
});
afterAll(() => agent[Symbol.asyncDispose]());

const DRAFT = {
  action: 'customer.export',
  outcome: 'denied',
  actor: { type: 'user', id: 'u-1', name: 'Ada' },
  resource: { type: 'customer', id: 'c-4' },
};
const draft = (over: object = {}): string => JSON.stringify({ ...DRAFT, ...over });
const emit = (lines: readonly string[], options: readonly string[] = []): Promise<Ran> =>
  runCli(['emit', '--data-dir', agent.dir, ...options], {
    input: lines.map((l) => `${l}\n`).join(''),
  });
const parse = <T>(text: string): readonly T[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);

test('prints a receipt for each line, in order, and what they say is in the ledger and the store', async () => {
  const ids = [ulid(), ulid(), ulid()];
  const ran = await emit(
    ids.map((event_id) => draft({ event_id })),
    ['--json'],
  );
  expect(ran.code).toBe(0);
  expect(ran.stderr).toContain('3 recorded, 0 refused, 3 lines read');
  const receipts = parse<RecordReceipt & { line: number }>(ran.stdout);
  expect(receipts.map(({ line, event_id }) => [line, event_id])).toEqual(
    ids.map((id, index) => [index + 1, id]),
  );
  await expectEachOnce(agent, receipts);

  const text = await emit([draft()]);
  expect(text.stdout).toMatch(/^[0-9A-Z]{26} {2}[0-9a-f]{64} {2}sealtrail\/test\/\S+ \d+$/m);
  expect(await emit([draft()], ['--quiet'])).toMatchObject({ code: 0, stdout: '' });
});

describe('a line that is refused is named with its number and reason, exit code 1, and the others are recorded', () => {
  const LINES: readonly [line: string, code: string, message: RegExp][] = [
    ['{"action":', 'malformed', /no valid JSON/],
    ['[]', 'malformed', /no JSON object/],
    [draft({ action: 'customer.exprot' }), 'unknown_action', /customer\.export/],
    [draft({ outcome: 'perhaps' }), 'schema_invalid', /outcome/],
    [draft({ actor: undefined }), 'incomplete_event', /actor/],
    [draft({ colour: 'red' }), 'schema_invalid', /metadata/],
    [draft({ metadata: { n: 2 ** 60 } }), 'unsafe_json', /string/],
    [draft().replace(/}$/, ',"outcome":"success"}'), 'duplicate_key', /twice/],
    [draft({ metadata: { text: 'x'.repeat(70_000) } }), 'too_large', /./],
    [draft({ resource: { ...DRAFT.resource, tenant_id: 'evil' } }), 'unknown_tenant', /tenants/],
    [JSON.stringify({ ...makeEvent(), schema_version: '2.0' }), 'unsupported_version', /1\.0/],
  ];

  test('as text', async () => {
    const lines = LINES.flatMap(([line]) => [draft(), line]);
    const ran = await emit(lines);
    expect(ran.code).toBe(1);
    expect(ran.stdout.trimEnd().split('\n')).toHaveLength(LINES.length);
    for (const [index, [, code, message]] of LINES.entries()) {
      const said = ran.stderr
        .split('\n')
        .find((line) => line.startsWith(`line ${index * 2 + 2}: ${code}: `));
      expect(said, `line ${index * 2 + 2}: ${code} in\n${ran.stderr}`).toMatch(message);
    }
    expect(ran.stderr).toContain(`${LINES.length} recorded, ${LINES.length} refused`);
  });

  test('as JSON', async () => {
    const ran = await emit([draft(), ...LINES.map(([line]) => line)], ['--json']);
    expect(ran.code).toBe(1);
    const [receipt, ...refusals] = parse<{ line: number; code?: string; message?: string }>(
      ran.stdout,
    );
    expect(receipt).toMatchObject({ line: 1, seq: expect.any(Number) });
    expect(refusals.map(({ line, code }) => [line, code])).toEqual(
      LINES.map(([, code], index) => [index + 2, code]),
    );
  });
});

test('a file of whole events that is emitted twice shows each event once', async () => {
  const events = Array.from({ length: 5 }, () => makeEvent());
  const lines = events.map((event) => JSON.stringify(event));
  expect((await emit(lines)).code).toBe(0);
  expect((await emit(lines)).code).toBe(0);
  await agent.delivered();
  const ids = new Set(events.map(({ event_id }) => event_id));
  const stored = await readStore(await agent.databaseUrl('auditor'));
  expect(stored.filter(({ event_id }) => ids.has(event_id))).toHaveLength(5);
});

test('blank lines and Windows line ends are no events, and keep the count of lines right', async () => {
  const ran = await runCli(['emit', '--data-dir', agent.dir], {
    input: `\n${draft()}\r\n\r\n   \nnonsense\n${draft()}`,
  });
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain('line 5: malformed');
  expect(ran.stderr).toContain('2 recorded, 1 refused, 6 lines read');
});

test('nothing on standard input is nothing to do', async () => {
  expect(await emit([])).toMatchObject({ code: 0, stdout: '' });
});

test('secrets of a line are redacted before they are sent', async () => {
  const [receipt] = parse<RecordReceipt>(
    (await emit([draft({ metadata: { ssn: '078-05-1120', password: 'hunter2' } })], ['--json']))
      .stdout,
  );
  const records = await readRecords(join(agent.dir, 'ledger'));
  const record = records.find(({ event }) => event.event_id === receipt?.event_id);
  expect(Object.keys(record?.event.metadata ?? {})).toEqual(['ssn_token']);
});

test('twenty thousand lines are recorded in pipelined batches', async () => {
  const ran = await emit(Array<string>(20_000).fill(draft()), ['--quiet']);
  expect(ran.code).toBe(0);
  expect(ran.stderr).toContain('20000 recorded, 0 refused');
});

test('without an agent it says so, names the directory, and exits with 2', async () => {
  await using temp = await makeTempDir();
  const ran = await runCli(['emit', '--data-dir', temp.path], { input: `${draft()}\n` });
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(temp.path);
  expect(ran.stderr).toMatch(/no agent runs|start it/);
});

test('without a redaction key it records nothing and says which file it looked for', async () => {
  await using temp = await makeTempDir();
  await mkdir(join(temp.path, 'keys'));
  const vocabulary = join(import.meta.dirname, '../../config/vocabulary.json');
  const ran = await runCli(['emit', '--data-dir', temp.path, '--vocabulary', vocabulary], {
    input: `${draft()}\n`,
  });
  expect(ran.code).toBe(2);
  expect(ran.stderr).toMatch(/redaction\.key|SEALTRAIL_REDACTION_KEY/);
  expect(await readFile(vocabulary, 'utf8')).toContain('customer.export');
});
