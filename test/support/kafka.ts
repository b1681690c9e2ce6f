/**
 * A Kafka to test against: librdkafka's mock cluster in a process of its own, behind a front that does
 * what the mock cannot. The mock names a controller that does not exist, speaks neither TLS nor SASL,
 * and drops no connection on demand; the front names broker 1, ends TLS, asks for SASL, keeps to
 * a topic's largest batch and breaks connections. Topics, batches, offsets and the errors of the protocol are the mock's. It keeps no
 * producer state, so it takes a repeated batch twice, where a real broker would tell it.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startKafkaFront, type FrontOptions, type KafkaFront } from './kafka-front.ts';

const PYTHON = '/usr/bin/python3';

/** Whether librdkafka and its Python binding are installed. */
export const hasKafka: boolean =
  spawnSync(PYTHON, ['-c', "import confluent_kafka, ctypes; ctypes.CDLL('librdkafka.so.1')"])
    .status === 0;

export const PRODUCE = 0;

export interface KafkaReading {
  readonly partition: number;
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface TestKafka extends AsyncDisposable {
  readonly front: KafkaFront;
  /** host:port of the front. */
  readonly broker: string;
  /** The next so many requests of this kind are answered with this error of the protocol. */
  failNext(apiKey: number, code: number, count?: number): Promise<void>;
  /** All messages of the topic, each partition in its order, read by another client. */
  read(): readonly KafkaReading[];
}

export const TOPIC = 'audit';

/** Starts the mock with a topic of four partitions, and a front before it. */
export async function startKafka(options: FrontOptions = {}): Promise<TestKafka> {
  const mock = spawn(PYTHON, [join(import.meta.dirname, 'kafka-mock.py')], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const lines = createInterface(mock.stdout)[Symbol.asyncIterator]();
  const address = String((await lines.next()).value);
  async function command(text: string): Promise<void> {
    mock.stdin.write(`${text}\n`);
    const answer = await lines.next();
    if (answer.value !== 'ok') throw new Error(`the mock did not do: ${text}`);
  }
  await command(`topic ${TOPIC} 4`);
  const front = await startKafkaFront(Number(address.split(':')[1]), options);

  return {
    front,
    broker: `127.0.0.1:${front.port}`,
    failNext: (apiKey, code, count = 1) => command(`error ${apiKey} ${code} ${count}`),
    read: () => {
      const script = join(import.meta.dirname, 'kafka-read.py');
      const options = { encoding: 'utf8', maxBuffer: 1 << 28 } as const;
      const read = spawnSync(PYTHON, [script, address, TOPIC], options);
      if (read.status !== 0) throw new Error(`cannot read the topic: ${read.stderr}`);
      return read.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as KafkaReading);
    },
    [Symbol.asyncDispose]: async () => {
      await front.stop();
      await ended(mock);
    },
  };
}

async function ended(mock: ChildProcess): Promise<void> {
  if (mock.exitCode !== null) return;
  const exit = once(mock, 'exit');
  mock.kill('SIGKILL');
  await exit;
}
