/** A socket receiver over the real admission and append stage, in a folder of its own. */
import { join } from 'node:path';
import type { Appender } from '../../agent/ports.ts';
import { createAdmission } from '../../agent/receive/admission.ts';
import { createSocketReceiver, type SocketLimits } from '../../agent/receive/socket.ts';
import {
  BATCH_EVENTS_MAX,
  EVENT_BYTES_MAX,
  FRAME_BYTES_MAX,
  WIRE_VERSION,
} from '../../schemas/wire.ts';
import { openTestStage, silentLog, type TestStage } from './append-stage.ts';
import { makeTempDir } from './ledger.ts';
import { TEST_VOCABULARY } from './otlp.ts';

export interface TestSocketReceiver extends AsyncDisposable {
  readonly socketPath: string;
  /** Folder of the ledger. */
  readonly dir: string;
  readonly test: TestStage;
  close(graceMs: number): Promise<void>;
}

/** Starts a receiver; it and its ledger go when the scope ends. */
export async function startSocketReceiver(
  options: {
    readonly connectionsMax?: number;
    readonly limits?: Partial<SocketLimits>;
    readonly wrap?: (appender: Appender) => Appender;
    readonly stage?: Parameters<typeof openTestStage>[1];
    /** Folder of ledger and socket, which stays; absent: one of its own. */
    readonly folder?: string;
  } = {},
): Promise<TestSocketReceiver> {
  const temp = options.folder === undefined ? await makeTempDir() : null;
  const folder = temp?.path ?? options.folder ?? '';
  const dir = join(folder, 'ledger');
  const test = await openTestStage(dir, options.stage);
  const socketPath = join(folder, 'agent.sock');
  const receiver = createSocketReceiver({
    config: {
      path: socketPath,
      mode: '0600',
      tenants: ['*'],
      connections_max: options.connectionsMax ?? 16,
    },
    hello: {
      version: WIRE_VERSION,
      agent: 'test',
      software_version: '0.0.0',
      frame_bytes_max: FRAME_BYTES_MAX,
      batch_events_max: BATCH_EVENTS_MAX,
      event_bytes_max: EVENT_BYTES_MAX,
    },
    admission: createAdmission({
      tenants: new Set(['acme']),
      vocabulary: TEST_VOCABULARY,
      redactor: { keyId: 'none', redactEvent: (event) => event, readPlain: () => null },
    }),
    appender: options.wrap === undefined ? test.stage : options.wrap(test.stage),
    meter: test.meter,
    log: silentLog,
    ...(options.limits && { limits: options.limits }),
  });
  const listening = await receiver.listen();
  if (!listening.ok) throw new Error(listening.error.message);
  return {
    socketPath,
    dir,
    test,
    close: receiver.close,
    [Symbol.asyncDispose]: async () => {
      await receiver.close(100);
      await test.close();
      await temp?.[Symbol.asyncDispose]();
    },
  };
}
