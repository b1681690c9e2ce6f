/** What a client process can write to: our agent, and the peers that people would use instead. */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import pg from 'pg';
import { createAudit } from '../sdk/index.ts';
import { benchDraft } from './event.ts';
import type { Target } from './load.ts';

export interface TargetSpec {
  readonly kind: 'sealtrail' | 'postgresql' | 'redis';
  /** Socket path, connection URL or port. */
  readonly address: string;
  readonly redactionKey?: string;
  readonly vocabulary?: unknown;
}

/** Opens one client of a target. */
export async function openTarget(spec: TargetSpec): Promise<Target> {
  switch (spec.kind) {
    case 'sealtrail':
      return openSealtrail(spec);
    case 'postgresql':
      return openPostgresql(spec.address);
    case 'redis':
      return openRedis(Number(spec.address));
  }
}

function openSealtrail(spec: TargetSpec): Target {
  const audit = createAudit({
    service: 'bench',
    serviceVersion: '1.0.0',
    vocabulary: spec.vocabulary as object,
    socketPath: spec.address,
    redactionKey: spec.redactionKey ?? '',
    timeoutMs: 60_000,
  });
  return { record: (n) => audit.record(benchDraft(n)), close: () => audit.close() };
}

/** One insert, one commit: what an audit table in the application's own database does. */
async function openPostgresql(url: string): Promise<Target> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const clientId = randomUUID();
  let rows = 0;
  let last: Promise<unknown> = Promise.resolve();
  const insert = { name: 'insert', text: 'INSERT INTO bench_audit (id, payload) VALUES ($1, $2)' };
  return {
    record: (n) => {
      const payload = JSON.stringify({ event_id: `bench-${n}`, ...benchDraft(n) });
      const values = [`${clientId}-${rows++}`, payload];
      last = last.then(() => client.query({ ...insert, values }));
      return last;
    },
    close: () => client.end(),
  };
}

/** XADD with `appendfsync always`; replies are counted, pipelined as they come. */
async function openRedis(port: number): Promise<Target> {
  const socket = connect(port, '127.0.0.1');
  await new Promise((done, fail) => {
    socket.once('connect', done);
    socket.once('error', fail);
  });
  const waiting: (() => void)[] = [];
  let rest = '';
  let answered = 0;
  let outgoing = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    // A reply is "$<length>\r\n<id>\r\n": two line ends.
    rest += chunk;
    const parts = rest.split('\r\n');
    rest = parts.pop() ?? '';
    for (let i = 0; i < parts.length; i++) {
      if (++answered % 2 === 0) waiting.shift()?.();
    }
  });
  const flush = (): void => {
    socket.write(outgoing);
    outgoing = '';
  };
  return {
    record: (n) =>
      new Promise<void>((done) => {
        const payload = JSON.stringify({ event_id: `bench-${n}`, ...benchDraft(n) });
        if (outgoing === '') queueMicrotask(flush);
        outgoing += `*5\r\n$4\r\nXADD\r\n$5\r\naudit\r\n$1\r\n*\r\n$1\r\ne\r\n$${Buffer.byteLength(payload)}\r\n${payload}\r\n`;
        waiting.push(done);
      }),
    close: async () => {
      socket.destroy();
    },
  };
}
