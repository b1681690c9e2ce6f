// An application under load, in a process of its own: records bursts of events through the SDK (dist/)
// until SIGTERM, and writes down every answer with write(2), so that a SIGKILL takes no line with it.
//   node sdk.mjs '{"socketPath", "vocabulary", "service", "log", "burstMax", "pauseMs"}'
import { openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { createAudit } from '../../../dist/sdk/index.js';

const { log, burstMax, pauseMs, ...options } = JSON.parse(process.argv[2]);
const file = openSync(log, 'a');
const note = (line) => writeSync(file, `${JSON.stringify(line)}\n`);

const ACTIONS = ['customer.export', 'user.login', 'payment.charge'];
const TENANTS = ['default', 'acme', 'globex'];
const pick = (list) => list[Math.floor(Math.random() * list.length)];

// Longer than any time the agent is away: an event of a live producer is never given up.
const audit = createAudit({ ...options, timeoutMs: 120_000 });
let stopping = false;
process.on('SIGTERM', () => (stopping = true));
note({ up: true });

async function recordOne(n) {
  try {
    const receipt = await audit.record({
      action: pick(ACTIONS),
      outcome: 'success',
      actor: { type: 'user', id: `u-${n}`, name: 'Ada' },
      resource: { type: 'customer', id: `c-${n}`, tenant_id: pick(TENANTS) },
      metadata: { n, ssn: '078-05-1120', text: 'x'.repeat(Math.floor(Math.random() * 400)) },
    });
    note({ acked: receipt });
  } catch (error) {
    note({ failed: error.code ?? error.message, recorded: error.recorded });
  }
}

let made = 0;
while (!stopping) {
  const burst = 1 + Math.floor(Math.random() * burstMax);
  await Promise.all(Array.from({ length: burst }, () => recordOne(made++)));
  await pause(Math.random() * pauseMs);
}
await audit.close();
note({ made });
