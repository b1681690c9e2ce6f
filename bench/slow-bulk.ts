/**
 * Elasticsearch's `_bulk` as far as a sink that behaves needs it: takes everything, as late as it is
 * told to. A strict stand-in, for tests, is in test/support/elasticsearch.ts.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface SlowBulk {
  readonly url: string;
  documents(): number;
  stop(): Promise<void>;
}

/** Starts it on a free port of loopback; each request is answered `delayMs` after it came. */
export async function startSlowBulk(delayMs: number): Promise<SlowBulk> {
  let documents = 0;
  const server = createServer((request, response) => {
    void readBody(request).then((text) => {
      const ids = text.split('\n').flatMap((line, index) => (index % 2 === 0 ? idOf(line) : []));
      setTimeout(() => {
        documents += ids.length;
        const items = ids.map((_id) => ({ create: { _id, status: 201 } }));
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ took: delayMs, errors: false, items }));
      }, delayMs);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    documents: () => documents,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const raw = Buffer.concat(chunks);
  return (request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString('utf8');
}

/** Of an action line; none in the empty text behind the last newline. */
function idOf(line: string): string[] {
  const action = /"_id":"([^"]+)"/.exec(line)?.[1];
  return action === undefined ? [] : [action];
}
