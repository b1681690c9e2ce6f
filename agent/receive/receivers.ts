/**
 * The receivers of a configuration, opened together over one admission: the unix socket and OTLP/HTTP.
 */
import type { Redactor } from '../../redaction/redaction.ts';
import type { Config } from '../../schemas/config.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import {
  BATCH_EVENTS_MAX,
  EVENT_BYTES_MAX,
  FRAME_BYTES_MAX,
  WIRE_VERSION,
} from '../../schemas/wire.ts';
import type { Appender, Logger, Meter } from '../ports.ts';
import { createAdmission } from './admission.ts';
import type { ForeignReceipts } from './otlp-audit.ts';
import { createTrust } from './otlp-integrity.ts';
import { createOtlpReceiver, type OtlpReceiver } from './otlp.ts';
import { createSocketReceiver, type SocketReceiver } from './socket.ts';

export interface ReceiverOptions {
  readonly config: Config;
  readonly vocabulary: Vocabulary;
  readonly redactor: Omit<Redactor, 'writePlain'>;
  readonly payloadKey: Uint8Array;
  readonly receipts: ForeignReceipts;
  readonly appender: Appender;
  readonly meter: Meter;
  readonly log: Logger;
  readonly version: string;
}

export interface Receivers {
  /** Path of the socket and URL of the OTLP receiver; null where not configured. */
  readonly listening: { readonly socket: string | null; readonly otlp: string | null };
  /** Takes no more; what was read is answered for up to `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Opens all receivers, or none: the error says which could not listen and why. */
export async function openReceivers(options: ReceiverOptions): Promise<Result<Receivers, string>> {
  const { config, vocabulary, redactor } = options;
  const tenants = new Set(config.tenants.map(({ id }) => id));
  const shared = { ...options, admission: createAdmission({ tenants, vocabulary, redactor }) };
  const open: (SocketReceiver | OtlpReceiver)[] = [];
  const close = async (graceMs: number): Promise<void> => {
    await Promise.all(open.map((receiver) => receiver.close(graceMs)));
  };

  const { socket, otlp } = config.receivers;
  const trust = createTrust(otlp?.trusted_keys ?? []);
  if (!trust.ok) {
    const { index, message } = trust.error;
    return err(`receivers.otlp.trusted_keys[${index}].pem ${message}`);
  }
  if (socket !== undefined) {
    const receiver = createSocketReceiver({ ...shared, config: socket, hello: helloOf(options) });
    const listening = await receiver.listen();
    if (!listening.ok) return err(listening.error.message);
    open.push(receiver);
  }
  let otlpAddress: string | null = null;
  if (otlp !== undefined) {
    const receiver = createOtlpReceiver({ ...shared, config: otlp, trust: trust.value });
    const listening = await receiver.listen();
    if (!listening.ok) {
      await close(0);
      return err(listening.error.message);
    }
    open.push(receiver);
    otlpAddress = listening.value.address;
  }
  return ok({ listening: { socket: socket?.path ?? null, otlp: otlpAddress }, close });
}

function helloOf({
  config,
  version,
}: ReceiverOptions): Parameters<typeof createSocketReceiver>[0]['hello'] {
  return {
    version: WIRE_VERSION,
    agent: config.agent.name,
    software_version: version,
    frame_bytes_max: FRAME_BYTES_MAX,
    batch_events_max: BATCH_EVENTS_MAX,
    event_bytes_max: EVENT_BYTES_MAX,
  };
}
