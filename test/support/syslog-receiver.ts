/**
 * A syslog receiver that misbehaves on demand, which rsyslog does not: it resets connections, reads
 * slowly or not at all, never closes. It takes octet-counted frames only, and an incomplete one at the
 * end of a connection is no message.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface SyslogReceiver extends AsyncDisposable {
  readonly endpoint: string;
  /** Whole messages, in the order they came. */
  readonly messages: string[];
  /** What was no frame. */
  readonly violations: string[];
  connections(): number;
  /** How many bytes the next connections may bring before they are reset; taken one a connection. */
  readonly resetAfter: number[];
  /** While true nothing is read. */
  pause(isPaused: boolean): void;
  /** Resets every connection, with what nobody has read of it. */
  reset(): void;
  /** While false the receiver keeps its side open after the client has closed. */
  closes: boolean;
  ids(): readonly string[];
}

/** Starts a receiver on a free port. */
export async function startSyslogReceiver(): Promise<SyslogReceiver> {
  const sockets = new Set<Socket>();
  const messages: string[] = [];
  const violations: string[] = [];
  let isPaused = false;
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    sockets.add(socket);
    let room = receiver.resetAfter.shift() ?? Infinity;
    let rest = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('end', () => {
      if (receiver.closes) socket.end();
    });
    socket.on('data', (chunk: Buffer) => {
      rest = takeFrames(Buffer.concat([rest, chunk.subarray(0, Math.min(room, chunk.length))]));
      room -= chunk.length;
      if (room < 0) socket.resetAndDestroy();
    });
    if (isPaused) socket.pause();
  });

  function takeFrames(bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
    for (let at = 0; ;) {
      const head = /^([1-9][0-9]*) /.exec(bytes.toString('latin1', at, at + 12))?.[1];
      if (head === undefined && bytes.length - at >= 12) violations.push('no length');
      const start = at + (head?.length ?? 0) + 1;
      const end = start + Number(head);
      if (head === undefined || bytes.length < end) return bytes.subarray(at);
      messages.push(bytes.toString('utf8', start, end));
      at = end;
    }
  }

  const receiver: SyslogReceiver = {
    get endpoint() {
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    messages,
    violations,
    connections: () => connections,
    resetAfter: [],
    closes: true,
    pause: (paused) => {
      isPaused = paused;
      for (const socket of sockets)
        if (paused) socket.pause();
        else socket.resume();
    },
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    ids: () => messages.map((text) => /event_id="([^"]*)"/.exec(text)?.[1] ?? 'no event_id'),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return receiver;
}
