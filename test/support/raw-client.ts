/** A client of the agent's socket that says exactly what a test wants it to say, byte by byte. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { ulid } from 'ulid';
import { createFrameDecoder, encodeFrame } from '../../schemas/wire-codec.ts';
import { FRAME_BYTES_MAX, FrameType, type Ack } from '../../schemas/wire.ts';

/** A frame of the agent, its payload parsed. */
export interface Answer {
  readonly type: number;
  readonly value: unknown;
}

export interface RawClient extends Disposable {
  readonly producer: string;
  send(bytes: Uint8Array): void;
  /** The next frame of the agent; null once it has closed the connection. */
  next(): Promise<Answer | null>;
  /** Says HELLO and waits for the agent's. */
  greet(): Promise<void>;
  /** Sends a BATCH of these lines and waits for its ACK. */
  batch(lines: readonly (string | Uint8Array)[], firstSeq: number): Promise<Ack>;
}

/** Connects; nothing is said yet. */
export async function connectRaw(socketPath: string): Promise<RawClient> {
  const socket = connect({ path: socketPath });
  await once(socket, 'connect');
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  const answers: (Answer | null)[] = [];
  const waiting: ((answer: Answer | null) => void)[] = [];
  const producer = ulid();
  let batches = 0;

  function take(answer: Answer | null): void {
    const waiter = waiting.shift();
    if (waiter === undefined) answers.push(answer);
    else waiter(answer);
  }
  socket.on('data', (bytes: Buffer) => {
    const frames = decoder.push(bytes);
    if (!frames.ok) throw new Error(frames.error.message);
    for (const { type, payload } of frames.value)
      take({ type, value: JSON.parse(Buffer.from(payload).toString('utf8')) });
  });
  // A cut connection shows as its end: 'close' follows every error.
  socket.on('error', () => socket.destroy());
  socket.on('close', () => take(null));

  const next = (): Promise<Answer | null> =>
    new Promise((tell) => {
      const answer = answers.shift();
      if (answer === undefined) waiting.push(tell);
      else tell(answer);
    });

  return {
    producer,
    next,
    send: (bytes) => void socket.write(bytes),
    greet: async () => {
      socket.write(helloFrame({ producer }));
      const answer = await next();
      if (answer?.type !== FrameType.hello) throw new Error(`no HELLO: ${JSON.stringify(answer)}`);
    },
    batch: async (lines, firstSeq) => {
      socket.write(batchFrame(lines, { batch: ++batches, first_seq: firstSeq }));
      const answer = await next();
      if (answer?.type !== FrameType.ack) throw new Error(`no ACK: ${JSON.stringify(answer)}`);
      // The agent is of this build: its ACK has this form.
      return answer.value as Ack;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** A HELLO; members of `over` replace those of a good one. */
export function helloFrame(over: Readonly<Record<string, unknown>> = {}): Buffer {
  const hello = { version: 1, service: 'raw', producer: ulid(), ...over };
  return encodeFrame(FrameType.hello, JSON.stringify(hello));
}

/** A BATCH with this header and these lines, each ended by a newline. */
export function batchFrame(lines: readonly (string | Uint8Array)[], header: object): Buffer {
  const end = Buffer.from('\n');
  const parts = [JSON.stringify(header), ...lines].flatMap((line) => [Buffer.from(line), end]);
  return encodeFrame(FrameType.batch, Buffer.concat(parts));
}
