/**
 * The receivers of a configuration, opened together over one admission: the unix socket and OTLP/HTTP.
 */
import type { Redactor } from '../../redaction/redaction.ts';
import type { Config } from '../../schemas/config.ts';
import { assert, err, ok, type Result } from '../../schemas/result.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import {
  BATCH_EVENTS_MAX,
  EVENT_BYTES_MAX,
  FRAME_BYTES_MAX,
  WIRE_VERSION,
} from '../../schemas/wire.ts';
import type { Admission, Appender, Logger, Meter } from '../ports.ts';
import { createAdmission, createAllowList } from './admission.ts';
import type { ForeignReceipts } from './otlp-audit.ts';
import { createTrust } from './otlp-integrity.ts';
import type { OtlpReceiver } from './otlp.ts';
import { createSocketReceiver, type SocketReceiver } from './socket.ts';

/** By what an event is let in. */
export type Judgement = Pick<ReceiverOptions, 'config' | 'vocabulary' | 'redactor'>;

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
  /** Events from now on are judged by this; where it listens stays as it is. */
  change(to: Judgement): void;
  /** Takes no more; what was read is answered for up to `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** Opens all receivers, or none: the error says which could not listen and why. */
export async function openReceivers(options: ReceiverOptions): Promise<Result<Receivers, string>> {
  const { config } = options;
  let current = admissionOf(options);
  let socketList = createAllowList(config.receivers.socket?.tenants ?? []);
  const admission: Admission = {
    admitLine: (bytes, start, end, allowed) => current.admitLine(bytes, start, end, allowed),
    admitEvent: (event, allowed) => current.admitEvent(event, allowed),
  };
  const shared = { ...options, admission };
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
    const receiver = createSocketReceiver({
      ...shared,
      config: socket,
      hello: helloOf(options),
      allowed: { has: (tenant) => socketList.has(tenant) },
    });
    const listening = await receiver.listen();
    if (!listening.ok) return err(listening.error.message);
    open.push(receiver);
  }
  let otlpAddress: string | null = null;
  let otlpReceiver: OtlpReceiver | null = null;
  if (otlp !== undefined) {
    const { createOtlpReceiver } = await import('./otlp.ts');
    const receiver = createOtlpReceiver({ ...shared, config: otlp, trust: trust.value });
    const listening = await receiver.listen();
    if (!listening.ok) {
      await close(0);
      return err(listening.error.message);
    }
    open.push(receiver);
    otlpAddress = listening.value.address;
    otlpReceiver = receiver;
  }

  function change(to: Judgement): void {
    current = admissionOf(to);
    socketList = createAllowList(to.config.receivers.socket?.tenants ?? []);
    const changed = to.config.receivers.otlp;
    if (otlpReceiver === null || changed === undefined) return;
    const keys = createTrust(changed.trusted_keys ?? []);
    // The check of the configuration has read the keys once already.
    assert(keys.ok, 'trusted keys of a checked configuration are keys');
    otlpReceiver.change({ config: changed, vocabulary: to.vocabulary, trust: keys.value });
  }

  return ok({ listening: { socket: socket?.path ?? null, otlp: otlpAddress }, change, close });
}

function admissionOf({ config, vocabulary, redactor }: Judgement): Admission {
  const tenants = new Set(config.tenants.map(({ id }) => id));
  return createAdmission({ tenants, vocabulary, redactor });
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
