/**
 * The syslog sink: RFC 5424 messages over TLS or TCP. There is no acknowledgement, so this is a weaker
 * guarantee than other sinks give. A batch counts as delivered once the kernel has all of it and the
 * connection is still healthy; what was sent last is kept in memory and goes again, first, once a
 * connection broke, since nobody knows how much of it was read. With `confirm` each batch has a
 * connection of its own and counts once the receiver has read to its end and closed. Repeats are told
 * by event_id.
 */
import type { SyslogExporterConfig } from '../../../schemas/exporter-config.ts';
import { messageOf } from '../../../schemas/result.ts';
import type { Vocabulary } from '../../../schemas/vocabulary.ts';
import { parseEndpoint, type Endpoint } from '../../endpoint.ts';
import type { DeliveryRecord, DeliveryResult, Logger, Sink } from '../../ports.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';
import { pause, realTiming } from '../timing.ts';
import { createTurns } from '../turns.ts';
import { readTls } from '../../../store/tls-files.ts';
import { openConnection, type SyslogConnection } from './syslog-connection.ts';
import { formatMessage, frameMessage, type MessageOptions } from './syslog-message.ts';

export interface SyslogSinkOptions {
  readonly format: DocumentFormat;
  readonly vocabulary: Vocabulary;
  readonly hostName: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/**
 * How much is kept to be sent again: what the send and receive buffers of two Linux kernels hold at
 * most by default. The last batch is kept whatever its size.
 */
const WINDOW_BYTES = 10 * 1024 * 1024;
/**
 * A receiver that does not want this client says so after the handshake (TLS 1.3), or after it has
 * looked up who it is: the first batch of a connection waits so long for that before it counts.
 */
const ACCEPTANCE_MS = 1_000;
const CLOSE_MS_MAX = 5_000;
/** The configuration has been checked: this port refuses everybody. */
const NOWHERE: Endpoint = { host: '127.0.0.1', port: 0 };

/** Creates the sink; connects at the first batch. */
export function createSyslogSink(config: SyslogExporterConfig, options: SyslogSinkOptions): Sink {
  const { name, message_bytes_max: bytesMax, timeout_ms: timeoutMs } = config;
  const { format, log, vocabulary, hostName } = options;
  const endpoint = parseEndpoint(config.endpoint) ?? NOWHERE;
  const form: MessageOptions = {
    facility: config.facility,
    hostName,
    appName: config.app_name,
    vocabulary,
  };
  let connection: SyslogConnection | null = null;
  let isAccepted = false;
  /** Counted as delivered, oldest first, none of it known to be read. */
  let window: Buffer[] = [];
  const closing = new AbortController();
  /** A batch and the mending of a connection never overlap. */
  const turn = createTurns();

  async function open(signal: AbortSignal): Promise<SyslogConnection | string> {
    const tls = config.transport === 'tls' ? await readTls(config.tls).catch(messageOf) : null;
    if (typeof tls === 'string') return `TLS: ${tls}`;
    const opened = await openConnection({ endpoint, tls, timeoutMs }, signal);
    return opened.ok ? opened.value : opened.error;
  }

  function drop(): void {
    connection?.destroy();
    connection = null;
    isAccepted = false;
  }

  /** The connection in use, or a new one with all on it that may not have been read. */
  async function connected(signal: AbortSignal): Promise<SyslogConnection | string> {
    const broken = await connection?.trouble();
    if (connection !== null && broken === null) return connection;
    const opened = await open(signal);
    if (typeof opened === 'string') return opened;
    drop();
    connection = opened;
    void mend(opened);
    if (window.length === 0) return opened;
    log.info({ sink: name, batches: window.length }, 'syslog: sending the last batches again');
    for (const batch of window) {
      const written = await opened.write(batch, signal);
      if (written.ok) continue;
      // Nothing may follow half a message; gone, it is mended like any other.
      opened.destroy();
      return written.error;
    }
    return opened;
  }

  /** A quiet agent has no next batch to bring the window: when its connection is gone, this does. */
  async function mend(lost: SyslogConnection): Promise<void> {
    await lost.gone;
    let isDone = false;
    while (!isDone) {
      await pause(realTiming, config.retry.max_ms, closing.signal);
      isDone = await turn(async () => {
        // Null: the loop has seen it, and tries again by itself.
        if (connection !== lost || closing.signal.aborted) return true;
        return typeof (await connected(closing.signal)) !== 'string';
      });
    }
  }

  function keep(batch: Buffer): void {
    window.push(batch);
    let bytes = window.reduce((sum, one) => sum + one.length, 0);
    while (bytes > WINDOW_BYTES && window.length > 1) bytes -= window.shift()?.length ?? 0;
  }

  /** Null once the batch counts as delivered. */
  async function send(batch: Buffer, signal: AbortSignal): Promise<string | null> {
    const open = await connected(signal);
    if (typeof open === 'string') return open;
    const written = await open.write(batch, signal);
    if (!written.ok) return written.error;
    if (config.confirm) {
      const finished = await open.finish(signal);
      drop();
      return finished.ok ? null : finished.error;
    }
    const trouble = isAccepted ? await open.trouble() : await open.watch(ACCEPTANCE_MS, signal);
    if (trouble !== null) return trouble;
    if (signal.aborted) return 'stopped';
    isAccepted = true;
    keep(batch);
    return null;
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const { lines, poison: unmapped } = await mapRecords(records, format);
    const poison = [...unmapped];
    const frames: Buffer[] = [];
    for (const [index, record] of records.entries()) {
      const line = lines[index] ?? '';
      if (line === '') continue;
      const message = Buffer.from(formatMessage(record, line, form));
      if (message.length <= bytesMax) frames.push(frameMessage(message));
      else
        poison.push({ index, reason: `${message.length} bytes, message_bytes_max is ${bytesMax}` });
    }
    if (frames.length === 0) return { kind: 'delivered', retry: [], poison };
    const reason = await send(Buffer.concat(frames), signal);
    if (reason === null) return { kind: 'delivered', retry: [], poison };
    drop();
    return { kind: 'failed', reason: `${config.endpoint}: ${reason}` };
  }

  /** What was sent last gets its chance to be read, and the log says if it had none. */
  async function finish(): Promise<void> {
    const finished = await connection?.finish(AbortSignal.timeout(CLOSE_MS_MAX));
    drop();
    if (finished?.ok !== true && window.length > 0) {
      const reason = finished?.error ?? 'there is no connection';
      log.warn({ sink: name, reason }, 'syslog: the last batches may not be read');
    }
    window = [];
  }

  return {
    name,
    deliver: (records, signal) => turn(() => deliver(records, signal)),
    close: () => {
      closing.abort();
      return turn(finish);
    },
  };
}
