import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatMessage } from '../../../../agent/deliver/sinks/syslog-message.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { DELIVERED, startTestLoop, whenDelivered, writeLedger } from '../../../support/delivery.ts';
import { testWhere } from '../../../support/host.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { hasRsyslog, startRsyslog, type Rsyslog } from '../../../support/rsyslog.ts';
import { send, testFormat } from '../../../support/sinks.ts';
import { createSealer } from '../../../store/sealed.ts';
import { ids, openSyslog, records, vocabulary } from '../../../support/syslog-sink.ts';

const testRsyslog = testWhere(hasRsyslog, 'rsyslog and rsyslog-openssl are not installed');
const whenThere = (server: Rsyslog, wanted: readonly string[]): Promise<void> =>
  expect.poll(async () => [...new Set(await server.ids())], { interval: 50 }).toEqual(wanted);

test('a message is RFC 5424: every field in its grammar, values escaped, severity by outcome and sensitivity', () => {
  const form = { facility: 13, hostName: 'hä st', appName: 'sealtrail', vocabulary };
  const priorities = (['low', 'high', 'critical'] as const).flatMap((sensitivity) =>
    (['success', 'denied'] as const).map((outcome) => {
      const record = { ...createSealer().seal({ action: `a.${sensitivity}`, outcome }), number: 0 };
      return formatMessage(record, '{}\n', form).slice(0, 6);
    }),
  );
  expect(priorities).toEqual(['<110>1', '<109>1', '<110>1', '<108>1', '<110>1', '<106>1']);

  const odd = createSealer('agent/"x]\\/standard').seal({ time: '2026-03-01T10:00:00.123Z' });
  const text = formatMessage({ ...odd, number: 0 }, '{"a":1}\n', form);
  const [head, message] = text.split('] {');
  expect(message).toBe('"a":1}');
  expect(head).toBe(
    '<110>1 2026-03-01T10:00:00.123Z hst sealtrail - customer.export ' +
      `[sealtrail@32473 event_id="${odd.event.event_id}" stream="agent/\\"x\\]\\\\/standard" seq="0" ` +
      `tenant="acme" this_hash="${odd.this_hash}"`,
  );
});

testRsyslog.each([
  { format: 'ecs', confirm: false },
  { format: 'ocsf', confirm: true },
] as const)('rsyslog gets every record over TLS, whole and once: %o', async (over) => {
  await using temp = await makeTempDir();
  const authority = createAuthority();
  const ca_file = join(temp.path, 'authority.pem');
  await writeFile(ca_file, authority.cert);
  await using server = await startRsyslog(temp.path, {
    ...authority.issue('siem'),
    ca: authority.cert,
  });
  const tls = { ca_file, insecure_skip_verify: false };
  await using sink = await openSyslog(server.endpoint, { ...over, transport: 'tls', tls });
  for (let from = 0; from < records.length; from += 10)
    expect(await send(sink, records.slice(from, from + 10))).toEqual(DELIVERED);
  await whenThere(server, ids);
  const lines = await server.lines();
  expect(lines).toHaveLength(records.length);
  const [line] = lines;
  const [record] = records;
  expect(line).toMatchObject({
    pri: '110',
    time: record?.event.event.time,
    host: 'host-1',
    app: 'sealtrail',
    msgid: 'customer.export',
    sd: expect.stringContaining(`stream="${record?.event.chain.stream}" seq="0"`),
  });
  expect(lines.map(({ msg }) => `${msg}\n`)).toEqual(
    records.map(testFormat(over.format, vocabulary)),
  );
});

testRsyslog(
  'a receiver killed and started again gets what it had not written, before anything newer',
  async () => {
    await using temp = await makeTempDir();
    await using server = await startRsyslog(temp.path);
    await using sink = await openSyslog(server.endpoint);
    for (let from = 0; from < records.length; from += 10) {
      expect(await send(sink, records.slice(from, from + 10))).toEqual(DELIVERED);
      await server.kill();
      expect(await send(sink, records.slice(from, from + 10))).toMatchObject({
        kind: 'failed',
        reason: expect.stringContaining('ECONNREFUSED'),
      });
      await server.start();
    }
    expect(await send(sink, records.slice(-1))).toEqual(DELIVERED);
    await whenThere(server, ids);
  },
);

testRsyslog(
  'down from the start, up later: the loop gets everything there and sets nothing aside',
  async () => {
    await using temp = await makeTempDir();
    const durable = await writeLedger(temp.path, 50);
    await using server = await startRsyslog(temp.path);
    await server.kill();
    const sink = await openSyslog(server.endpoint, { confirm: true });
    const loop = await startTestLoop(temp.path, durable, sink);
    await expect.poll(() => loop.report().state).toBe('retrying');
    await server.start();
    await whenDelivered(loop, durable);
    expect(loop.report()).toMatchObject({ dead_letters: 0, delivered_total: durable });
    await loop.stop();
    await expect.poll(async () => new Set(await server.ids()).size).toBe(durable);
  },
);

testRsyslog(
  'certificates: of nobody we trust, expired, or ours not permitted any more: nothing counts as delivered',
  async () => {
    await using temp = await makeTempDir();
    const authority = createAuthority();
    const client = authority.issue('agent-1');
    const files = { ca_file: 'authority.pem', cert_file: 'client.pem', key_file: 'client.key' };
    const paths = Object.fromEntries(
      Object.entries(files).map(([name, file]) => [name, join(temp.path, file)]),
    );
    await writeFile(join(temp.path, files.ca_file), authority.cert);
    await writeFile(join(temp.path, files.cert_file), client.cert);
    await writeFile(join(temp.path, files.key_file), client.key);
    const ca = authority.cert;
    const good = { ...authority.issue('siem'), ca };
    await using server = await startRsyslog(temp.path, {
      ...createAuthority('another').issue('siem'),
      ca,
    });
    const tls = { ...paths, insecure_skip_verify: false };
    await using sink = await openSyslog(server.endpoint, { transport: 'tls', tls });
    expect(await send(sink, records)).toMatchObject({
      reason: expect.stringContaining('unable to verify'),
    });

    await server.kill();
    await server.start({ ...authority.issue('siem', { daysLeft: -1 }), ca });
    expect(await send(sink, records)).toMatchObject({
      reason: expect.stringContaining('has expired'),
    });

    await server.kill();
    await server.start({ ...good, permitted: 'localhost' });
    expect(await send(sink, records.slice(0, 10))).toEqual(DELIVERED);
    await whenThere(server, ids.slice(0, 10));

    // Revoked. The handshake of TLS 1.3 is over for us before the receiver has looked at our certificate.
    await server.kill();
    await server.start({ ...good, ca: createAuthority('a third').cert, permitted: 'localhost' });
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await send(sink, records.slice(10))).toMatchObject({ kind: 'failed' });
    expect(new Set(await server.ids()).size).toBe(10);

    await server.kill();
    await server.start({ ...good, permitted: 'localhost' });
    expect(await send(sink, records.slice(10))).toEqual(DELIVERED);
    await whenThere(server, ids);
  },
);
