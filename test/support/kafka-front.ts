/**
 * Stands before a mock broker and passes requests and answers on, with the changes that kafka.ts names.
 * It reads as much of the protocol as it needs: length, api key and correlation id of each request, and
 * the answers to ApiVersions and Metadata.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { freePort } from '../../bench/processes.ts';
import { addRefusals, limitProduce } from './kafka-limit.ts';
import { beginSasl, SASL_AUTHENTICATE, SASL_HANDSHAKE, type SaslOptions } from './kafka-sasl.ts';

const PRODUCE = 0;
const METADATA = 3;
const API_VERSIONS = 18;

export interface FrontOptions {
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly sasl?: SaslOptions;
  /** The topic's max.message.bytes. */
  readonly batchBytesMax?: number;
}

/** What befalls the next produce request: lost before the broker has it, or its answer lost. */
export type ProduceFault = 'reset before' | 'reset after' | 'no answer';

/** A request that the broker has. */
interface Asked {
  readonly apiKey: number;
  readonly version: number;
  readonly fault: ProduceFault | undefined;
  /** Partitions whose part of it the broker did not get. */
  readonly refused: readonly number[];
}

export interface KafkaFront {
  readonly port: number;
  /** Taken one a produce request, in order. */
  readonly faults: ProduceFault[];
  /** Whom SASL lets in from now on. */
  sasl: SaslOptions | undefined;
  /** Certificate shown from now on. */
  useCertificate(tls: { readonly cert: string; readonly key: string }): void;
  /** Produce requests that came. */
  produced(): number;
  /** Ends every connection and listens no more. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  start(): Promise<void>;
}

/** Starts a front for the broker on this port. */
export async function startKafkaFront(
  brokerPort: number,
  options: FrontOptions,
): Promise<KafkaFront> {
  const sockets = new Set<Socket>();
  const server = options.tls ? createTlsServer(options.tls, serve) : createServer(serve);
  // A client that does not trust the certificate breaks off; that is its test's business.
  server.on('tlsClientError', () => undefined);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  let produced = 0;
  const front: KafkaFront = {
    port: await listen(server, await freePort()),
    faults: [],
    sasl: options.sasl,
    useCertificate: (tls) => {
      if ('setSecureContext' in server) server.setSecureContext(tls);
    },
    produced: () => produced,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await closed;
    },
    start: async () => void (await listen(server, front.port)),
  };

  function serve(client: Socket): void {
    const broker = connect(brokerPort, '127.0.0.1');
    const asked = new Map<number, Asked>();
    const sasl = beginSasl(() => front.sasl);
    const end = (): void => {
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) socket.on('error', end).on('close', end);

    onFrames(client, (frame) => {
      const apiKey = frame.readInt16BE(4);
      const correlation = frame.readInt32BE(8);
      if (apiKey === SASL_HANDSHAKE || apiKey === SASL_AUTHENTICATE)
        return void client.write(answer(correlation, sasl.answer(apiKey, frame)));
      if (!sasl.isAllowed() && apiKey !== API_VERSIONS) return end();
      const fault = apiKey === PRODUCE ? front.faults.shift() : undefined;
      if (apiKey === PRODUCE) produced += 1;
      if (fault === 'reset before') return end();
      const limited =
        apiKey === PRODUCE && options.batchBytesMax !== undefined
          ? limitProduce(frame, options.batchBytesMax)
          : { request: frame, refused: [] };
      const { refused } = limited;
      asked.set(correlation, { apiKey, version: frame.readInt16BE(6), fault, refused });
      broker.write(limited.request);
    });
    onFrames(broker, (frame) => {
      const request = asked.get(frame.readInt32BE(4));
      asked.delete(frame.readInt32BE(4));
      if (request?.fault === 'reset after') return end();
      if (request?.fault === 'no answer') return;
      if (request?.apiKey === METADATA) nameBroker(frame, request.version, front.port);
      const isOffer = request?.apiKey === API_VERSIONS && options.sasl !== undefined;
      if (isOffer) client.write(offerSasl(frame));
      else if (request?.refused.length)
        client.write(addRefusals(frame, request.version, request.refused));
      else client.write(frame);
    });
  }

  return front;
}

function answer(correlation: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeInt32BE(4 + body.length, 0);
  head.writeInt32BE(correlation, 4);
  return Buffer.concat([head, body]);
}

/** Every broker listens where the front does, and the controller is broker 1. */
function nameBroker(frame: Buffer, version: number, port: number): void {
  let at = 8 + (version >= 3 ? 4 : 0);
  const brokers = frame.readInt32BE(at);
  at += 4;
  for (let index = 0; index < brokers; index++) {
    at += 4;
    at += 2 + frame.readInt16BE(at);
    frame.writeInt32BE(port, at);
    at += 4;
    if (version >= 1) at += 2 + Math.max(0, frame.readInt16BE(at));
  }
  if (version >= 2) at += 2 + Math.max(0, frame.readInt16BE(at));
  if (version >= 1) frame.writeInt32BE(1, at);
}

/** Adds the two requests of SASL to what the broker says it knows. */
function offerSasl(frame: Buffer): Buffer {
  const count = frame.readInt32BE(10);
  const added = Buffer.alloc(12);
  added.writeInt16BE(SASL_HANDSHAKE, 0);
  added.writeInt16BE(1, 4);
  added.writeInt16BE(SASL_AUTHENTICATE, 6);
  added.writeInt16BE(1, 10);
  const end = 14 + count * 6;
  const offered = Buffer.concat([frame.subarray(0, end), added, frame.subarray(end)]);
  offered.writeInt32BE(offered.length - 4, 0);
  offered.writeInt32BE(count + 2, 10);
  return offered;
}

function onFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const length = 4 + rest.readInt32BE(0);
      take(Buffer.from(rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
  });
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
