/** A spool on a disk that takes a write and never answers (strace holds its fdatasync back). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { VOCABULARY } from '../support/agent-process.ts';
import { hasStrace, testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';

const SCRIPT = join(import.meta.dirname, '../support/producers/spooling.mjs');
/** Longer than anybody waits; the tracer ends after it. */
const HOLD_US = 20_000_000;

/** What the application was told first, with its fdatasync held back for so long. */
async function firstAnswer(holdUs: number): Promise<unknown> {
  await using temp = await makeTempDir();
  const log = join(temp.path, 'answers.ndjson');
  const options = {
    socketPath: join(temp.path, 'nobody.sock'),
    vocabulary: VOCABULARY,
    service: 'shop',
    log,
    spoolDir: join(temp.path, 'spool'),
    timeoutMs: 1_000,
  };
  const child = spawn(
    'strace',
    [
      ...['-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fdatasync'],
      ...['-e', `inject=fdatasync:delay_enter=${holdUs}`],
      ...[process.execPath, SCRIPT, JSON.stringify(options)],
    ],
    {
      env: { ...process.env, SEALTRAIL_REDACTION_KEY: '0b'.repeat(32) },
      stdio: 'ignore',
    },
  );
  const exited = once(child, 'exit');
  const told = (): string => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  await expect.poll(told).toContain('\n');
  child.kill('SIGKILL');
  await exited;
  return JSON.parse(told().split('\n')[0] ?? '');
}

testWhere(hasStrace, 'a disk that hangs: strace is not here, or may not trace')(
  'an event whose spool hangs is answered in time: refused, and perhaps kept',
  async () => {
    expect(await firstAnswer(1)).toEqual({ spooled: expect.any(String) });
    expect(await firstAnswer(HOLD_US)).toEqual({
      failed: 'agent_unavailable',
      recorded: 'unknown',
    });
  },
);
