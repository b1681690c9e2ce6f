/** `sealtrail token`: an SSN in the hand, its events in the trail, from before a rotation too. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAudit } from '../../sdk/index.ts';
import { runCli, startAgentProcess, VOCABULARY } from '../support/agent-process.ts';
import { draft } from '../support/sdk-fixture.ts';
import { readRecords } from '../support/outcome.ts';
import { makeTempDir } from '../support/ledger.ts';

const SSN = '078-05-1120';

test('after a rotation the tokens of a value name its events of both keys, in the order of the keys', async () => {
  await using agent = await startAgentProcess({ exporters: {} });
  const record = async (): Promise<void> => {
    await using audit = createAudit({
      service: 'shop',
      vocabulary: VOCABULARY,
      tenant: 'acme',
      socketPath: agent.socketPath,
      redactionKey: await agent.redactionKey(),
    });
    await audit.record(draft({ action: 'customer.export', metadata: { ssn: SSN } }));
  };
  await record();
  await agent.stop();
  const path = join(agent.dir, 'keys/redaction.key');
  await writeFile(path, `${'ab'.repeat(32)}\n${await readFile(path, 'utf8')}`);
  await agent.start();
  await record();

  const asked = await runCli(['token', '--data-dir', agent.dir, '--tenant', 'acme', '--json'], {
    input: `${SSN}\n`,
  });
  const { line, tokens } = JSON.parse(asked.stdout) as { line: number; tokens: string[] };
  const recorded = (await readRecords(join(agent.dir, 'ledger')))
    .map(({ event }) => event.metadata['ssn_token'])
    .filter((token) => token !== undefined);
  expect(line).toBe(1);
  expect(recorded).toEqual([...tokens].reverse());
  expect(new Set(tokens).size).toBe(2);
});

test('without a key, or with a bad one, it says so and repeats neither key nor value', async () => {
  await using temp = await makeTempDir();
  const none = await runCli(['token', '--data-dir', temp.path], { input: SSN });
  expect(none).toMatchObject({ code: 2, stdout: '' });
  const bad = await runCli(['token'], {
    input: SSN,
    env: { SEALTRAIL_REDACTION_KEY: 'f00dface' },
  });
  expect(bad).toMatchObject({ code: 2, stdout: '' });
  expect(none.stderr + bad.stderr).not.toMatch(/f00dface|078-05/);
});
