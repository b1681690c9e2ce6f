// A foreign client under load: sends OTLP/JSON records to /v1/audit and /v1/logs in turn until SIGTERM,
// sends a request again, with its record ids, until it is accepted, and writes down what was.
//   node otlp.mjs '{"url", "log", "burstMax", "pauseMs"}'
import { randomUUID } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const { url, log, burstMax, pauseMs } = JSON.parse(process.argv[2]);
const file = openSync(log, 'a');
const note = (line) => writeSync(file, `${JSON.stringify(line)}\n`);

let stopping = false;
process.on('SIGTERM', () => (stopping = true));
note({ up: true });

const attribute = ([key, stringValue]) => ({ key, value: { stringValue } });

function makeRecord(id) {
  return {
    timeUnixNano: `${Date.now()}000000`,
    eventName: 'user.login',
    attributes: Object.entries({
      'audit.record.id': id,
      'audit.actor.id': 'u_8472',
      'audit.actor.type': 'user',
      'audit.action': 'LOGIN',
      'audit.outcome': 'success',
      'audit.target.id': 'session-1',
      'audit.target.type': 'session',
      'sealtrail.tenant_id': 'acme',
    }).map(attribute),
  };
}

/** The answer once there is one; a refusal other than "later" is a fault of this test. */
async function send(path, body) {
  for (;;) {
    try {
      const headers = { 'Content-Type': 'application/json' };
      const answer = await fetch(url + path, { method: 'POST', headers, body });
      const text = await answer.text();
      if (answer.ok) return JSON.parse(text);
      if (answer.status !== 503 && answer.status !== 429)
        throw new Error(`${answer.status} ${text}`);
    } catch (error) {
      // fetch says TypeError for everything that a dead peer can cause.
      if (!(error instanceof TypeError)) throw error;
    }
    await pause(50);
  }
}

function noteReceipts(ids, answer) {
  const byId = answer.record_status_map ?? { [ids[0]]: answer };
  for (const id of ids) {
    const { stream, seq, integrity_hash: this_hash } = byId[id];
    note({ ackedRecord: id, receipt: { stream, seq, this_hash } });
  }
}

let made = 0;
while (!stopping) {
  const ids = Array.from({ length: 1 + Math.floor(Math.random() * burstMax) }, () => randomUUID());
  const logRecords = ids.map(makeRecord);
  const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] });
  if (made % 2 === 0) noteReceipts(ids, await send('/v1/audit', body));
  else {
    const { partialSuccess } = await send('/v1/logs', body);
    if (partialSuccess !== undefined) throw new Error(JSON.stringify(partialSuccess));
    for (const id of ids) note({ ackedRecord: id });
  }
  made += ids.length;
  await pause(Math.random() * pauseMs);
}
note({ made });
