/**
 * One client of the unix socket: HELLO, then batches, each answered by one ACK in order. When the
 * append queue is full the socket is not read, and the kernel's buffer pushes back on the client.
 */
import { isUtf8 } from 'node:buffer';
import type { Socket } from 'node:net';
import { refusal, RETRYABLE_KINDS, type Refusal } from '../../schemas/refusal.ts';
import { err, messageOf, type Result } from '../../schemas/result.ts';
import { createFrameDecoder, encodeFrame } from '../../schemas/wire-codec.ts';
import {
  BATCH_EVENTS_MAX,
  FRAME_BYTES_MAX,
  FrameType,
  type Ack,
  type AgentHello,
  type Frame,
  type ReceiptTuple,
  type Rejection,
} from '../../schemas/wire.ts';
import type {
  Admission,
  AdmittedEvent,
  AppendOutcome,
  Appender,
  Logger,
  Meter,
  TenantAllowList,
} from '../ports.ts';
import { parseBatchHeader, parseHello } from './hello.ts';

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly hello: AgentHello;
  readonly admission: Admission;
  readonly appender: Appender;
  readonly allowed: TenantAllowList;
  readonly meter: Meter;
  readonly log: Logger;
}

const NEWLINE = 0x0a;

export interface Connection {
  /** Resolves when the connection has ended; MUST NOT reject. */
  readonly served: Promise<void>;
  /** Reads no more; what was read is still answered. */
  stop(): void;
}

/** Begins to serve a connection. */
export function serveConnection(options: ConnectionOptions): Connection {
  const { socket, appender, meter, log } = options;
  const decoder = createFrameDecoder(FRAME_BYTES_MAX);
  let producer: string | null = null;
  let ended = false;
  let stopping = false;
  /** ACKs leave in the order of the batches: each waits for the one before. */
  let answered: Promise<void> = Promise.resolve();

  function end(reason: Refusal): void {
    if (ended) return;
    ended = true;
    meter.nacks(reason.kind, 1);
    if (!RETRYABLE_KINDS.has(reason.kind))
      log.warn({ kind: reason.kind, reason: reason.message }, 'a client was cut off');
    socket.end(encodeFrame(FrameType.error, JSON.stringify(reason)));
  }

  function greet(payload: Uint8Array): void {
    const hello = parseHello(payload);
    if (!hello.ok) {
      end(hello.error);
      return;
    }
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
    const outcomes = appender.append({ producer: from, firstSeq: header.first_seq, events });
    answered = answered.then(async () => answer(header.batch, await outcomes));
  }

  function answer(batch: number, outcomes: readonly AppendOutcome[]): void {
    const ack = formatAck(batch, outcomes);
    if (!socket.writable) return;
    socket.write(encodeFrame(FrameType.ack, JSON.stringify(ack)));
    // After a refusal that may pass, later numbers must not overtake the refused ones: the client
    // connects again and sends from the lowest number that is not acked.
    const passing = ack.rejected.find((rejection) => RETRYABLE_KINDS.has(rejection.kind));
    if (passing !== undefined)
      end(refusal(passing.kind, 'connect again and send what is not acked'));
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

  async function read(): Promise<void> {
    try {
      // Not destroyed when the loop is left: the last answer is still to be written.
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        const frames = decoder.push(chunk as Buffer);
        if (!frames.ok) end(frames.error);
        for (const frame of frames.ok ? frames.value : []) {
          if (!ended && !appender.hasRoom()) await appender.whenRoom();
          if (!ended && !stopping) take(frame);
        }
        if (ended || stopping) break;
      }
    } catch (error) {
      log.debug({ error: messageOf(error) }, 'a client connection broke');
    }
    await answered;
    if (!ended && !stopping) socket.end();
  }

  function stop(): void {
    stopping = true;
    socket.pause();
    void answered.then(() => {
      end(refusal('shutting_down', 'the agent is stopping; connect again later'));
      socket.destroySoon();
    });
  }

  return { served: read(), stop };
}

interface Batch {
  readonly header: { readonly batch: number; readonly first_seq: number };
  readonly events: readonly Result<AdmittedEvent, Refusal>[];
}

function readBatch(payload: Uint8Array, options: ConnectionOptions): Result<Batch, Refusal> {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const endOfHeader = bytes.indexOf(NEWLINE);
  if (endOfHeader === -1)
    return err(refusal('protocol_error', 'a BATCH is a header line and event lines'));
  const header = parseBatchHeader(bytes.toString('utf8', 0, endOfHeader));
  if (!header.ok) return header;
  if (bytes.at(-1) !== NEWLINE) {
    return err(refusal('protocol_error', 'the last event of a BATCH must end with a newline'));
  }
  const events = isUtf8(bytes)
    ? admitLines(bytes, endOfHeader + 1, options)
    : admitBytes(bytes, endOfHeader + 1, options);
  if (events.length > BATCH_EVENTS_MAX) {
    return err(
      refusal(
        'protocol_error',
        `a BATCH of ${events.length} events; the limit is ${BATCH_EVENTS_MAX}`,
      ),
    );
  }
  return { ok: true, value: { header: header.value, events } };
}

function admitLines(
  bytes: Buffer,
  start: number,
  options: ConnectionOptions,
): Result<AdmittedEvent, Refusal>[] {
  const lines = bytes.toString('utf8', start, bytes.length - 1).split('\n');
  if (start === bytes.length) return [];
  return lines.map((line) => options.admission.admitText(line, options.allowed));
}

/** Some line is not UTF-8: judge each by itself, so that the others get in. */
function admitBytes(
  bytes: Buffer,
  start: number,
  options: ConnectionOptions,
): Result<AdmittedEvent, Refusal>[] {
  const events: Result<AdmittedEvent, Refusal>[] = [];
  for (let at = start; at < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, at);
    const line = bytes.subarray(at, end);
    events.push(
      isUtf8(line)
        ? options.admission.admitText(line.toString('utf8'), options.allowed)
        : err(refusal('malformed', 'the event is not valid UTF-8')),
    );
    at = end + 1;
  }
  return events;
}

function formatAck(batch: number, outcomes: readonly AppendOutcome[]): Ack {
  const streams: string[] = [];
  const receipts: (ReceiptTuple | null)[] = [];
  const rejected: Rejection[] = [];
  for (let index = 0; index < outcomes.length; index++) {
    const outcome = outcomes[index];
    if (outcome === undefined || outcome.kind === 'refused') {
      receipts.push(null);
      if (outcome !== undefined) rejected.push({ index, ...outcome.refusal });
      continue;
    }
    const { stream, seq, this_hash } = outcome.receipt;
    let at = streams.lastIndexOf(stream);
    if (at === -1) at = streams.push(stream) - 1;
    receipts.push(outcome.kind === 'duplicate' ? [at, seq, this_hash, 1] : [at, seq, this_hash]);
  }
  return { batch, streams, receipts, rejected };
}
