/**
 * A Kafka producer that can be given up for good. The client goes on trying on its own after a call
 * has failed or taken too long, and what it sent late would stand behind newer records; so its sockets
 * are made here, and once a producer is closed it gets none any more.
 */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import type { Message, Producer } from 'kafkajs';
import type { KafkaExporterConfig } from '../../../schemas/exporter-config.ts';
import { readTls } from '../../../store/tls-files.ts';
import { saslOf } from './kafka-sasl.ts';

export interface KafkaProducer {
  /** Rejects with the client's error. */
  send(messages: Message[]): Promise<void>;
  /** Nothing is sent after this. */
  close(): Promise<void>;
}

/** Tries of the client within one call: they keep the producer's numbers, so they repeat nothing. */
const CLIENT_RETRY = { retries: 3, initialRetryTime: 100, maxRetryTime: 1_000 } as const;
const CONNECT_MS_MAX = 10_000;
const KEEP_ALIVE_MS = 60_000;

/** Makes a producer, which loads the client and connects with its first call. */
export function openKafkaProducer(config: KafkaExporterConfig): KafkaProducer {
  const { timeout_ms: timeoutMs, topic } = config;
  const sockets = createSockets();
  let ready: Promise<Ready> | null = null;

  async function prepare(): Promise<Ready> {
    // Loaded here, so that an agent without this sink does without the client.
    const { CompressionTypes, Kafka, Partitioners, logLevel } = await import('kafkajs');
    const tls = config.transport === 'tls' ? await readTls(config.tls) : null;
    const client = new Kafka({
      brokers: [...config.brokers],
      clientId: 'sealtrail',
      ...(config.sasl && { sasl: await saslOf(config.sasl) }),
      connectionTimeout: Math.min(timeoutMs, CONNECT_MS_MAX),
      authenticationTimeout: Math.min(timeoutMs, CONNECT_MS_MAX),
      requestTimeout: timeoutMs,
      retry: CLIENT_RETRY,
      // Its messages may quote a peer; what matters comes back as an error.
      logLevel: logLevel.NOTHING,
      socketFactory: ({ host, port, onConnect }) => sockets.open(host, port, tls, onConnect),
    });
    const producer = client.producer({
      idempotent: config.idempotent,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    return {
      producer,
      compression: config.gzip ? CompressionTypes.GZIP : CompressionTypes.None,
    };
  }

  return {
    send: async (messages) => {
      const { producer, compression } = await (ready ??= prepare());
      await producer.send({ topic, acks: -1, timeout: timeoutMs, compression, messages });
    },
    close: async () => {
      sockets.close();
      // Whether it ever connected or says goodbye, there is nothing to learn from what is given up.
      const [opened] = await Promise.allSettled([ready]);
      if (opened.status === 'fulfilled')
        await Promise.allSettled([opened.value?.producer.disconnect()]);
    },
  };
}

interface Ready {
  readonly producer: Producer;
  readonly compression: number;
}

interface Sockets {
  open(host: string, port: number, tls: ConnectionOptions | null, onConnect: () => void): Socket;
  /** Ends all of them, and every later one at once. */
  close(): void;
}

function createSockets(): Sockets {
  const open = new Set<Socket>();
  let isClosed = false;
  return {
    open: (host, port, tls, onConnect) => {
      const servername = isIP(host) === 0 ? { servername: host } : {};
      const socket =
        tls === null
          ? connect({ host, port }, onConnect)
          : connectTls({ host, port, ...servername, ...tls }, onConnect);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      if (isClosed) socket.destroy(new Error('closed'));
      return socket;
    },
    close: () => {
      isClosed = true;
      for (const socket of open) socket.destroy(new Error('closed'));
    },
  };
}
