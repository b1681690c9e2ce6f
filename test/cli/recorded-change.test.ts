/** A change that is on record before it is made, and fails. */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { changeRecorded } from '../../cli/recorded-change.ts';
import { err } from '../../schemas/result.ts';
import { makeTempDir } from '../support/ledger.ts';
import { startPostgres } from '../support/postgres.ts';

test('a change that failed is on record as failed, or whoever asked is told that the trail says otherwise', async () => {
  await using temp = await makeTempDir();
  const postgres = await startPostgres();
  const outcomes: string[] = [];
  let answers = 2;
  const agent = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      outcomes.push((JSON.parse(text) as { outcome: string }).outcome);
      response.statusCode = outcomes.length > answers ? 503 : 200;
      response.end('{"event_id":"1","metadata":{}}');
    });
  });
  await new Promise<void>((done) => agent.listen(join(temp.path, 'admin.sock'), done));
  const change = () =>
    changeRecorded({
      url: postgres.url('admin'),
      dataDir: temp.path,
      operation: { action: 'x', by: 'me', resource: { type: 't', id: '1' }, metadata: {} },
      check: () => Promise.resolve(),
      write: () => Promise.resolve(err('no such login')),
    });
  try {
    expect(await change()).toEqual(err({ code: 1, message: 'no such login' }));
    answers = 3;
    const said = await change();
    expect(outcomes).toEqual(['success', 'failure', 'success', 'failure']);
    expect(said).toMatchObject({
      error: { code: 1, message: expect.stringMatching(/^no such login; the trail says .*503/) },
    });
  } finally {
    await new Promise((done) => agent.close(done));
    await postgres.stop();
  }
});
