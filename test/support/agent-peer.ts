/**
 * A small peer on a real unix socket that speaks the agent's side of the protocol and misbehaves
 * on request: drops a connection at a byte, appends without acking, refuses, delays, or answers
 * garbage. Like the agent, it remembers the last number per producer and appends each once.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RETRYABLE_KINDS, type RefusalKind } from '../../schemas/refusal.ts';
import { createFrameDecoder, encodeFrame } from '../../schemas/wire-codec.ts';
import {
  BATCH_EVENTS_MAX,
  EVENT_BYTES_MAX,
  FRAME_BYTES_MAX,
  FrameType,
  type Ack,
  type ClientHello,
  type Rejection,
} from '../../schemas/wire.ts';
import { DEADLINE_MS, longer } from './eventually.ts';

/** One event as it arrived, resends included. */
export interface Arrival {
  readonly connection: number;
  readonly producer: string;
  readonly seq: number;
  readonly text: string;
}

export interface PeerBatch {
  readonly connection: number;
  /** 0-based, per connection. */
  readonly index: number;
  readonly batch: number;
  readonly firstSeq: number;
  readonly lines: readonly string[];
}

export interface PeerScript {
  /** Destroys the connection once so many bytes came in on it. */
  dropAtByte?(connection: number): number | null;
  /** `lose`: append, then drop instead of acking; `drop`: drop without appending. */
  onBatch?(batch: PeerBatch): 'ack' | 'lose' | 'drop' | Promise<'ack' | 'lose' | 'drop'>;
  refuse?(arrival: Arrival): { readonly kind: RefusalKind; readonly message: string } | null;
  /** Ends the connection after a refusal that may pass, as the agent does. */
  readonly endsAfterPassing?: boolean;
  /** Bytes to send instead of the ACK. */
  garbage?(batch: PeerBatch): Uint8Array | null;
  /** Bytes to send instead of the HELLO. */
  hello?(connection: number): Uint8Array | null;
}

export interface AgentPeer {
  readonly socketPath: string;
  readonly arrivals: Arrival[];
  /** What an agent would have in its ledger: each number once. */
  readonly appended: Arrival[];
  readonly hellos: ClientHello[];
  connections(): number;
  close(): Promise<void>;
}

/** Starts a peer in a temporary directory, or on a given socket path. */
export async function startAgentPeer(
  script: PeerScript = {},
  socketPath?: string,
): Promise<AgentPeer> {
  const directory = mkdtempSync(join(tmpdir(), 'sealtrail-peer-'));
  const path = socketPath ?? join(directory, 'agent.sock');
  const state = createPeerState();
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, connections++, script, state);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    socketPath: path,
    arrivals: state.arrivals,
    appended: state.appended,
    hellos: state.hellos,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface PeerState {
  readonly arrivals: Arrival[];
  readonly appended: Arrival[];
  readonly hellos: ClientHello[];
  readonly last: Map<string, number>;
}

function createPeerState(): PeerState {
  return { arrivals: [], appended: [], hellos: [], last: new Map() };
}

function serve(socket: Socket, connection: number, script: PeerScript, state: PeerState): void {
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  const dropAt = script.dropAtByte?.(connection) ?? null;
  let bytesSeen = 0;
  let batches = 0;
  let producer = '';
  let turn: Promise<void> = Promise.resolve();
  // A peer that drops connections meets EPIPE and ECONNRESET; 'close' follows and is enough.
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    const room = dropAt === null ? bytes.length : Math.max(0, dropAt - bytesSeen);
    bytesSeen += bytes.length;
    const frames = decoder.push(bytes.subarray(0, room));
    if (!frames.ok) return void socket.destroy();
    for (const frame of frames.value) {
      const text = Buffer.from(frame.payload).toString('utf8');
      if (frame.type === FrameType.hello) {
        const hello: ClientHello = JSON.parse(text);
        producer = hello.producer;
        state.hellos.push(hello);
        socket.write(script.hello?.(connection) ?? helloFrame());
      } else {
        const batch = readBatch(text, connection, batches++);
        turn = turn.then(() => answer(socket, batch, producer, script, state));
      }
    }
    if (dropAt !== null && bytesSeen >= dropAt) turn = turn.then(() => void socket.destroy());
  });
}

/** The HELLO of a well-behaved agent. */
export function helloFrame(): Uint8Array {
  return encodeFrame(
    FrameType.hello,
    JSON.stringify({
      version: 1,
      agent: 'peer',
      software_version: '0.0.0',
      frame_bytes_max: FRAME_BYTES_MAX,
      batch_events_max: BATCH_EVENTS_MAX,
      event_bytes_max: EVENT_BYTES_MAX,
    }),
  );
}

function readBatch(text: string, connection: number, index: number): PeerBatch {
  const [header = '', ...lines] = text.split('\n');
  if (lines.pop() !== '') throw new Error('a batch does not end with a line end');
  const { batch, first_seq }: { batch: number; first_seq: number } = JSON.parse(header);
  return { connection, index, batch, firstSeq: first_seq, lines };
}

async function answer(
  socket: Socket,
  batch: PeerBatch,
  producer: string,
  script: PeerScript,
  state: PeerState,
): Promise<void> {
  if (!socket.writable) return;
  const verdict = (await script.onBatch?.(batch)) ?? 'ack';
  if (verdict === 'drop') return void socket.destroy();
  const ack = append(batch, producer, script, state);
  if (verdict === 'lose') return void socket.destroy();
  if (socket.destroyed) return;
  socket.write(script.garbage?.(batch) ?? encodeFrame(FrameType.ack, JSON.stringify(ack)));
  const passing = ack.rejected.find(({ kind }) => RETRYABLE_KINDS.has(kind));
  if (passing === undefined || script.endsAfterPassing !== true) return;
  socket.end(encodeFrame(FrameType.error, JSON.stringify(passing)));
}

/** Like the agent: a number that was passed, and under which the event is not, is not a duplicate. */
const NO_RECORD = { kind: 'protocol_error', message: 'passed, and no record of it' } as const;

function append(batch: PeerBatch, producer: string, script: PeerScript, state: PeerState): Ack {
  const rejected: Rejection[] = [];
  const receipts = batch.lines.map((text, index): Ack['receipts'][number] => {
    const arrival = { connection: batch.connection, producer, seq: batch.firstSeq + index, text };
    state.arrivals.push(arrival);
    const hash = createHash('sha256').update(text).digest('hex') as never;
    const passed = arrival.seq <= (state.last.get(producer) ?? -1);
    const isSame = (one: Arrival): boolean =>
      one.producer === producer && one.seq === arrival.seq && one.text === text;
    const before = passed ? state.appended.findIndex(isSame) : -1;
    if (before !== -1) return [0, before, hash, 1];
    const refused = passed ? NO_RECORD : (script.refuse?.(arrival) ?? null);
    if (refused !== null) {
      rejected.push({ index, ...refused });
      return null;
    }
    state.last.set(producer, arrival.seq);
    state.appended.push(arrival);
    return [0, state.appended.length - 1, hash];
  });
  return { batch: batch.batch, streams: ['peer'], receipts, rejected };
}

/** Waits until the condition holds; fails after the deadline. */
export async function until(
  condition: () => boolean,
  what: string | (() => string),
  deadlineMs: number = DEADLINE_MS,
): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  for (let pauseMs = 2; !condition(); pauseMs = longer(pauseMs)) {
    if (performance.now() > endMs)
      throw new Error(`timed out waiting for: ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
