/**
 * One client of the unix socket: HELLO, then batches, each answered by one ACK in order. While the
 * append queue is full, or the client has too much unanswered or unread, its socket is not read, and
 * the kernel's buffer pushes back on it.
 */
import type { Socket } from 'node:net';
import { refusal, RETRYABLE_KINDS, type Refusal } from '../../schemas/refusal.ts';
import { createFrameDecoder, encodeFrame } from '../../schemas/wire-codec.ts';
import { FRAME_BYTES_MAX, FrameType, type AgentHello, type Frame } from '../../schemas/wire.ts';
import type {
  Admission,
  AppendOutcome,
  Appender,
  Logger,
  Meter,
  TenantAllowList,
} from '../ports.ts';
import { formatAck, readBatch } from './batch.ts';
import { parseHello } from './hello.ts';

export interface ConnectionOptions {
  readonly socket: Socket;
  /** How long the client may take to say HELLO. */
  readonly helloMs: number;
  /** How long it may take to read what it was told last. */
  readonly lingerMs: number;
  readonly hello: AgentHello;
  readonly admission: Admission;
  readonly appender: Appender;
  readonly allowed: TenantAllowList;
  readonly meter: Meter;
  readonly log: Logger;
}

/** Batches of a client that wait for their answer, at which it is not read. The SDK sends 16. */
const UNANSWERED_MAX = 64;
/** Bytes of answers that the client has not read, at which it is not read either. */
const UNREAD_BYTES_MAX = 1024 * 1024;

export interface Connection {
  /** Reads no more; what was read is still answered, and then the socket is closed. */
  stop(): void;
}

/** Serves a connection until its socket is closed. */
export function serveConnection(options: ConnectionOptions): Connection {
  const { socket, appender, meter, log } = options;
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  let producer: string | null = null;
  let ended = false;
  let stopping = false;
  /** Something was refused for now: later numbers must not overtake it, so nothing more is taken. */
  let blocked = false;
  let unanswered = 0;
  /** Read and not yet taken. */
  const frames: Frame[] = [];
  let isWaiting = false;
  let hasEnded = false;
  /** ACKs leave in the order of the batches: each waits for the one before. */
  let answered: Promise<void> = Promise.resolve();

  function end(reason: Refusal): void {
    if (ended) return;
    ended = true;
    meter.nacks(reason.kind, 1);
    if (!RETRYABLE_KINDS.has(reason.kind))
      log.warn({ kind: reason.kind, reason: reason.message }, 'a client was cut off');
    socket.write(encodeFrame(FrameType.error, JSON.stringify(reason)));
    hangUp();
  }

  /**
   * A client that is still writing when its socket is closed sees a broken pipe instead of the reason.
   * So it may go first, but not stay.
   */
  function hangUp(): void {
    socket.end();
    const cut = setTimeout(() => socket.destroy(), options.lingerMs);
    socket.once('close', () => clearTimeout(cut));
  }

  const helloTimer = setTimeout(() => {
    end(refusal('protocol_error', `no HELLO within ${options.helloMs} ms; say who you are`));
  }, options.helloMs);
  socket.once('close', () => clearTimeout(helloTimer));

  function greet(payload: Uint8Array): void {
    const hello = parseHello(payload);
    if (!hello.ok) {
      end(hello.error);
      return;
    }
    clearTimeout(helloTimer);
    producer = hello.value.producer;
    appender.noteRefused(producer, hello.value.refused ?? []);
    socket.write(encodeFrame(FrameType.hello, JSON.stringify(options.hello)));
  }

  function takeBatch(from: string, payload: Uint8Array): void {
    const batch = readBatch(payload, options);
    if (!batch.ok) {
      end(batch.error);
      return;
    }
    const { events, header } = batch.value;
    const request = { producer: from, firstSeq: header.first_seq, events };
    // Seen at once, though answers that are due before this one may take their time.
    const outcomes = appender.append(request).then((settled) => {
      if (settled.some(isPassing)) blocked = true;
      return settled;
    });
    unanswered += 1;
    answered = answered.then(async () => answer(header.batch, await outcomes));
  }

  function answer(batch: number, outcomes: readonly AppendOutcome[]): void {
    unanswered -= 1;
    if (!socket.writable) return;
    socket.write(encodeFrame(FrameType.ack, JSON.stringify(formatAck(batch, outcomes))));
    // The client connects again and sends from the lowest number that is not acked.
    const passing = outcomes.find(isPassing);
    if (passing !== undefined)
      end(refusal(passing.refusal.kind, 'connect again and send what is not acked'));
  }

  function take(frame: Frame): void {
    if (producer === null) {
      if (frame.type === FrameType.hello) greet(frame.payload);
      else end(refusal('protocol_error', 'the first frame must be HELLO'));
    } else if (frame.type === FrameType.batch) {
      takeBatch(producer, frame.payload);
    } else {
      end(refusal('protocol_error', `frame type ${frame.type} is not expected from a client`));
    }
  }

  const isOver = (): boolean => ended || stopping || blocked;

  /** Whether the client may have another batch in the queue. */
  const hasTurn = (): boolean =>
    appender.hasRoom() && unanswered < UNANSWERED_MAX && socket.writableLength <= UNREAD_BYTES_MAX;

  async function awaitTurn(): Promise<void> {
    while (!isOver() && !hasTurn()) {
      if (!appender.hasRoom()) await appender.whenRoom();
      else if (unanswered >= UNANSWERED_MAX) await answered;
      else await drained(socket);
    }
  }

  /** Takes what was read, as far as the client has its turn; meanwhile nothing more is read. */
  async function takeAll(): Promise<void> {
    if (isWaiting) return;
    for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
      if (!hasTurn()) {
        isWaiting = true;
        socket.pause();
        await awaitTurn();
        isWaiting = false;
        if (!stopping) socket.resume();
      }
      // What comes in behind an end is thrown away.
      if (isOver()) frames.length = 0;
      else take(frame);
    }
    if (hasEnded) void answered.then(() => !isOver() && hangUp());
  }

  socket.on('data', (bytes: Buffer) => {
    if (isOver()) return;
    const decoded = decoder.push(bytes);
    if (!decoded.ok) return end(decoded.error);
    for (const frame of decoded.value) frames.push(frame);
    void takeAll();
  });
  socket.once('end', () => {
    hasEnded = true;
    void takeAll();
  });

  function stop(): void {
    stopping = true;
    socket.pause();
    void answered.then(() => {
      end(refusal('shutting_down', 'the agent is stopping; connect again later'));
      socket.destroySoon();
    });
  }

  return { stop };
}

function isPassing(
  outcome: AppendOutcome,
): outcome is Extract<AppendOutcome, { readonly kind: 'refused' }> {
  return outcome.kind === 'refused' && RETRYABLE_KINDS.has(outcome.refusal.kind);
}

/** Resolves when all that was written has been read, or never will be. */
function drained(socket: Socket): Promise<void> {
  return new Promise((done) => {
    const finish = (): void => {
      socket.off('drain', finish);
      socket.off('close', finish);
      done();
    };
    socket.on('drain', finish);
    socket.on('close', finish);
    if (socket.destroyed) finish();
  });
}
