// An application that goes on while the agent is away: records a fail-open action through the SDK (dist/)
// with a spool, and writes down every answer with write(2), so that a SIGKILL takes no line with it.
//   node spooling.mjs '{"socketPath", "vocabulary", "service", "log", "spoolDir"}'
import { openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { createAudit } from '../../../dist/sdk/index.js';

const { log, spoolDir, ...options } = JSON.parse(process.argv[2]);
const file = openSync(log, 'a');
const note = (line) => writeSync(file, `${JSON.stringify(line)}\n`);
const audit = createAudit({
  timeoutMs: 10_000,
  breaker: { forMs: 600_000 },
  ...options,
  spool: { dir: spoolDir, afterMs: 150 },
});
let stopping = false;
process.on('SIGTERM', () => (stopping = true));

async function recordOne(n) {
  try {
    const { event_id, spooled } = await audit.record({
      action: 'user.login',
      outcome: 'success',
      actor: { type: 'user', id: `u-${n}`, name: 'Ada' },
      resource: { type: 'session', id: `s-${n}`, tenant_id: 'acme' },
      metadata: { n, ssn: '078-05-1120' },
    });
    note(spooled ? { spooled: event_id } : { acked: event_id });
  } catch (error) {
    note({ failed: error.code ?? error.message, recorded: error.recorded });
  }
}

for (let n = 0; !stopping; n += 20) {
  await Promise.all(Array.from({ length: 20 }, (_, at) => recordOne(n + at)));
  // Long enough that what it makes while an agent starts does not decide how long a test takes.
  await pause(50);
}
await audit.close();
