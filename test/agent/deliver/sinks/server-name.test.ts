/**
 * `tls.server_name` in each sink that speaks TLS: the name that a certificate must carry, instead of the host's. What a
 * peer answers after the handshake is no matter here. PostgreSQL: test/store/connection.test.ts.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { KAFKA_DEFAULTS, SYSLOG_DEFAULTS } from '../../../../agent/config-defaults.ts';
import type { ExporterConfig, TlsClientConfig } from '../../../../schemas/exporter-config.ts';
import { createAuthority } from '../../../support/certificates.ts';
import { testWhere } from '../../../support/host.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { hasNats, startNats } from '../../../support/nats.ts';
import { archiveConfig } from '../../../support/s3.ts';
import { openTestSink, sealedRecords, send, SINK_BASE } from '../../../support/sinks.ts';

const NAME = 'siem.example';
const authority = createAuthority();
const records = sealedRecords(1);

const KINDS: Readonly<Record<string, (address: string) => ExporterConfig>> = {
  // As Elasticsearch, Splunk and OTLP, which send by the same cluster.ts.
  webhook: (address) => ({
    ...SINK_BASE,
    name: 'webhook',
    type: 'webhook',
    endpoints: [`https://${address}/`],
    secret: `whsec_${Buffer.alloc(32).toString('base64')}`,
    encoding: 'json',
    format: 'native',
    headers: {},
    gzip: false,
  }),
  syslog: (endpoint) => ({ ...SYSLOG_DEFAULTS, ...SINK_BASE, name: 's', type: 'syslog', endpoint }),
  kafka: (broker) => ({
    ...KAFKA_DEFAULTS,
    ...SINK_BASE,
    name: 'kafka',
    type: 'kafka',
    brokers: [broker],
  }),
  s3: (address) =>
    archiveConfig(
      {
        endpoint: `https://${address}`,
        writer: { user: 'w', access_key_id: 'key', secret_access_key: 'secret' },
      },
      { timeout_ms: 2_000 },
    ),
};

/** One try to each host; whether the sink went on with the handshake. */
async function accepts(
  kind: (address: string) => ExporterConfig,
  certificate: ReturnType<typeof authority.issue>,
  tls: TlsClientConfig,
): Promise<boolean[]> {
  const accepted: boolean[] = [];
  for (const host of ['127.0.0.1', 'localhost']) {
    let handshakes = 0;
    const server = createServer(certificate, (socket) => {
      handshakes += 1;
      socket.on('error', () => undefined).destroy();
    });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const config = { ...kind(`${host}:${port}`), timeout_ms: 20_000, tls } as ExporterConfig;
    const sink = await openTestSink(config);
    expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
    await sink.close();
    accepted.push(handshakes > 0);
    server.close();
    await once(server, 'close');
  }
  return accepted;
}

test.concurrent.each(Object.entries(KINDS))(
  '%s: the certificate carries it, or nothing is sent',
  async (_, kind) => {
    await using temp = await makeTempDir();
    const ca_file = join(temp.path, 'ca.pem');
    await writeFile(ca_file, authority.cert);
    const [of, local] = [authority.issue('siem', { host: NAME }), authority.issue('siem')];
    const plain = { ca_file, insecure_skip_verify: false };
    const named = { ...plain, server_name: NAME };
    expect(await accepts(kind, local, plain), 'of the host').toEqual([true, true]);
    expect(await accepts(kind, of, plain), 'of another name').toEqual([false, false]);
    expect(await accepts(kind, of, named), 'of the configured name').toEqual([true, true]);
    expect(await accepts(kind, local, named), 'of the host alone').toEqual([false, false]);
  },
);

testWhere(hasNats, 'the NATS sink needs nats-server')(
  'nats: the certificate carries it, or nothing is sent',
  async () => {
    await using temp = await makeTempDir();
    const at = (name: string): string => join(temp.path, name);
    const { cert, key } = authority.issue('nats', { host: NAME });
    for (const [name, text] of Object.entries({ cert, key, ca: authority.cert }))
      await writeFile(at(name), text);
    await using server = await startNats(
      `tls { cert_file: "${at('cert')}", key_file: "${at('key')}" }`,
    );
    const reasonOf = async (over: Partial<TlsClientConfig>): Promise<string> => {
      const sink = await openTestSink({
        ...SINK_BASE,
        name: 'nats',
        type: 'nats',
        servers: [`tls://localhost:${server.port}`],
        stream: 'S',
        subject_prefix: 'sealtrail',
        inbox_prefix: '_INBOX',
        tls: { ca_file: at('ca'), insecure_skip_verify: false, ...over },
      });
      const result = await send(sink, records);
      await sink.close();
      return result.kind === 'failed' ? result.reason : result.kind;
    };
    expect(await reasonOf({})).toMatch(/altname|alt.?names/i);
    expect(await reasonOf({ server_name: NAME })).toMatch(/^no stream takes/);
  },
);
