/** A message is taken for a record only when its bytes, its hash and its subject agree. */
import { expect, test } from 'vitest';
import { readIncoming } from '../../../agent/gateway/incoming.ts';
import { subjectOf, tenantToken } from '../../../agent/nats-subject.ts';
import { formatRecord } from '../../../ledger/frame.ts';
import { hashRecord } from '../../../ledger/chain.ts';
import { createSealer } from '../../store/sealed.ts';

const record = createSealer().seal({ metadata: { note: 'Zoë' } });
const { stream } = record.event.chain;
const subject = subjectOf('sealtrail', 'acme', stream);
const line = formatRecord(record.eventText, record.prev_hash, record.this_hash).trimEnd();
const read = (text: string | Uint8Array, on = subject): unknown => {
  const result = readIncoming(on, typeof text === 'string' ? Buffer.from(text) : text, 'sealtrail');
  return result.ok ? 'ok' : result.error.kind;
};

test('the ledger line of a record, on its subject, is the record', () => {
  const result = readIncoming(subject, Buffer.from(line), 'sealtrail');
  expect(result).toEqual({ ok: true, value: record });
});

test('a changed byte anywhere in it is found', () => {
  const bytes = Buffer.from(line);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = changed[at]! ^ 1;
    expect(read(changed), `byte ${at}`).toMatch(/^(altered|malformed)$/);
  }
  expect(read(line)).toBe('ok');
});

test('on the subject of another tenant, or of another shard, it is refused', () => {
  const shard = subject.split('.')[1];
  expect(read(line, `sealtrail.${shard}.${tenantToken('globex')}`)).toBe('subject_differs');
  const other = shard === '0' ? '1' : '0';
  expect(read(line, `sealtrail.${other}.${tenantToken('acme')}`)).toBe('subject_differs');
});

test('well hashed, but no sealed event: refused, whatever is wrong with it', () => {
  const frame = (text: string): string =>
    formatRecord(text, record.prev_hash, hashRecord(record.prev_hash, text)).trimEnd();
  const without = (path: readonly string[]): string => {
    const copy = JSON.parse(record.eventText) as Record<string, unknown>;
    let at = copy;
    for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
    delete at[path.at(-1)!];
    return JSON.stringify(copy);
  };
  expect(read(frame(record.eventText))).toBe('ok');
  for (const text of ['', '{}', '[]', 'null', '"x"', '{"chain":{}}', record.eventText.slice(0, -1)])
    expect(read(frame(text)), text).toBe('malformed');
  for (const path of [
    ['chain', 'seq'],
    ['chain', 'stream'],
    ['actor', 'id'],
    ['event', 'action'],
    ['resource', 'tenant_id'],
    ['event_id'],
  ])
    expect(read(frame(without(path))), path.join('.')).toBe('malformed');
});
