/**
 * One connection to the agent's unix socket: connect, HELLO both ways, frames in and out.
 * It knows nothing of events; whatever ends it is reported once, and delivery.ts decides
 * what follows.
 */
import { connect } from 'node:net';
import { parsePayload, readAgentHello, isObject } from './ack.ts';
import { createFrameDecoder, encodeFrame } from '../schemas/wire-codec.ts';
import { FRAME_BYTES_MAX, FrameType, WIRE_VERSION } from '../schemas/wire.ts';
import type { AgentHello, ClientHello, Frame } from '../schemas/wire.ts';

/** Why a connection ended. */
export interface ConnectionEnd {
  /** `protocol`: the peer broke the protocol; `refused`: the agent sent an ERROR frame. */
  readonly kind: 'unreachable' | 'lost' | 'protocol' | 'refused';
  readonly message: string;
  /** The refusal kind of an ERROR frame. */
  readonly refusalKind?: string;
}

export interface ConnectionHandlers {
  /** The agent said HELLO; batches may be sent. */
  onReady(agent: AgentHello): void;
  /** An ACK payload, parsed but not checked; an error text ends the connection. */
  onAck(ack: unknown): string | null;
  /** Called exactly once, unless close() was. */
  onEnd(end: ConnectionEnd): void;
}

export interface ConnectionOptions {
  readonly socketPath: string;
  readonly service: string;
  readonly producer: string;
  readonly refused: readonly number[];
  readonly helloTimeoutMs: number;
}

export interface Connection {
  send(frame: Uint8Array): void;
  /** Ends it for the given reason, which is reported. */
  abort(end: ConnectionEnd): void;
  /** Ends it without a report. */
  close(): void;
  /** Whether this connection keeps the process alive. */
  hold(alive: boolean): void;
}

/** Opens a connection; never throws for what a peer or an operator can cause. */
export function openConnection(
  options: ConnectionOptions,
  handlers: ConnectionHandlers,
): Connection {
  const socket = connect({ path: options.socketPath });
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  let greeted = false;
  let ended = false;
  let connected = false;

  const helloTimer = setTimeout(() => {
    finish({ kind: 'lost', message: `no HELLO within ${options.helloTimeoutMs} ms` });
  }, options.helloTimeoutMs);
  helloTimer.unref();

  function finish(end: ConnectionEnd | null): void {
    if (ended) return;
    ended = true;
    clearTimeout(helloTimer);
    socket.destroy();
    if (end !== null) handlers.onEnd(end);
  }

  function onFrame(frame: Frame): void {
    const payload = parsePayload(frame.payload);
    if (!payload.ok) return finish({ kind: 'protocol', message: payload.error });
    if (frame.type === FrameType.error) return onErrorFrame(payload.value);
    if (frame.type === FrameType.hello && !greeted) return onHello(payload.value);
    if (frame.type === FrameType.ack && greeted) {
      const fault = handlers.onAck(payload.value);
      return fault === null ? undefined : finish({ kind: 'protocol', message: fault });
    }
    finish({ kind: 'protocol', message: `a frame of type ${frame.type} out of turn` });
  }

  function onHello(value: unknown): void {
    const hello = readAgentHello(value);
    if (!hello.ok) return finish({ kind: 'protocol', message: hello.error });
    greeted = true;
    clearTimeout(helloTimer);
    handlers.onReady(hello.value);
  }

  function onErrorFrame(value: unknown): void {
    const kind = isObject(value) ? String(value['kind']).slice(0, 64) : 'unknown';
    const message = isObject(value) ? String(value['message']).slice(0, 512) : '';
    finish({ kind: 'refused', refusalKind: kind, message: `${kind}: ${message}` });
  }

  socket.on('connect', () => {
    connected = true;
    const hello: ClientHello = {
      version: WIRE_VERSION,
      service: options.service,
      producer: options.producer,
      ...(options.refused.length === 0 ? {} : { refused: options.refused }),
    };
    socket.write(encodeFrame(FrameType.hello, JSON.stringify(hello)));
  });
  socket.on('data', (bytes: Buffer) => {
    const frames = decoder.push(bytes);
    if (!frames.ok) return finish({ kind: 'protocol', message: frames.error.message });
    for (const frame of frames.value) if (!ended) onFrame(frame);
  });
  socket.on('error', (error) => {
    finish({ kind: connected ? 'lost' : 'unreachable', message: error.message });
  });
  socket.on('close', () => {
    finish({
      kind: connected ? 'lost' : 'unreachable',
      message: 'the agent closed the connection',
    });
  });

  return {
    send: (frame) => void socket.write(frame),
    abort: finish,
    close: () => finish(null),
    hold: (alive) => void (alive ? socket.ref() : socket.unref()),
  };
}
