/** A time-stamping authority over HTTP that is the `openssl` command, with an authority that it made itself. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TimestampAuthority extends AsyncDisposable {
  readonly url: string;
  /** PEM of its root. */
  readonly caFile: string;
  /** Answers with this instead, from now on; null: as it should. */
  lie(answer: ((request: Buffer, right: () => Promise<Buffer>) => Promise<Buffer>) | null): void;
}

const CONFIG = `[tsa]
default_tsa = own
[own]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = ca.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384
accuracy = secs:1
ordering = no
tsa_name = yes
ess_cert_id_chain = no
[stamping]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = critical, serverAuth
`;

/** Starts one in a folder. */
export async function startTimestampAuthority(dir: string): Promise<TimestampAuthority> {
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: dir });
  await writeFile(join(dir, 'tsa.cnf'), CONFIG);
  await writeFile(join(dir, 'serial'), '01\n');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test root',
    '-days',
    '2',
  );
  await openssl('req', ...newKey, '-keyout', 'tsa.key', '-out', 'tsa.csr', '-subj', '/CN=test tsa');
  await openssl(
    'x509',
    '-req',
    '-in',
    'tsa.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'tsa.pem',
    '-days',
    '1',
    '-extfile',
    'tsa.cnf',
    '-extensions',
    'stamping',
  );
  await openssl('req', ...newKey, '-keyout', 's.key', '-out', 's.csr', '-subj', '/CN=server');
  const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1'];
  const use = ['-extfile', 'tsa.cnf', '-extensions', 'server'];
  await openssl('x509', '-req', '-in', 's.csr', ...ca, '-out', 's.pem', ...use);
  let lie: Parameters<TimestampAuthority['lie']>[0] = null;
  let number = 0;

  async function reply(request: Buffer): Promise<Buffer> {
    const [query, answer] = [`${(number += 1)}.tsq`, `${number}.tsr`];
    await writeFile(join(dir, query), request);
    await openssl('ts', '-reply', '-config', 'tsa.cnf', '-queryfile', query, '-out', answer);
    return readFile(join(dir, answer));
  }

  const server: Server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      const query = Buffer.concat(chunks);
      const isQuery = request.headers['content-type'] === 'application/timestamp-query';
      const answer = lie === null ? await reply(query) : await lie(query, () => reply(query));
      response.writeHead(isQuery ? 200 : 415, { 'content-type': 'application/timestamp-reply' });
      response.end(answer);
    })();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsr`,
    caFile: join(dir, 'ca.pem'),
    lie: (answer) => (lie = answer),
    [Symbol.asyncDispose]: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

const TST_INFO = '1.2.840.113549.1.9.16.1.4';

/** What is no time-stamp: its content signed by a certificate that the same authority gave to a server. */
export async function signAsServer(dir: string, content: Uint8Array): Promise<Buffer> {
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: dir });
  await writeFile(join(dir, 'content'), content);
  const as = ['-signer', 's.pem', '-inkey', 's.key', '-econtent_type', TST_INFO];
  const form = ['-in', 'content', '-out', 'signed', '-outform', 'DER'];
  await openssl('cms', '-sign', '-binary', '-nodetach', ...as, ...form);
  return readFile(join(dir, 'signed'));
}
