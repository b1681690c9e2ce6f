/**
 * Keeps the embedded PostgreSQL running: starts it, starts it again when it dies, and stops it last.
 * Delivery does not wait for it: until it is up the sink retries, as with any database that is away.
 */
import type { Config } from '../schemas/config.ts';
import { messageOf } from '../schemas/result.ts';
import { pause } from './pause.ts';
import type { Logger } from './ports.ts';
import type { EmbeddedPostgres } from '../store/embedded.ts';
import { embeddedHome } from '../store/embedded-address.ts';

export interface EmbeddedServer {
  /** Settles with the first try: the server, or why it did not start (tries go on). */
  readonly first: Promise<EmbeddedPostgres | string>;
  /** Stops whatever tries to start the server, and the server within this time. */
  stop(withinMs: number): Promise<void>;
}

const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;
const WATCH_MS = 1_000;

/** Keeps the server of a configuration running; null where it has none. */
export function keepConfiguredServer(config: Config, log: Logger): EmbeddedServer | null {
  const embedded = config.exporters.find(
    (exporter) => exporter.type === 'postgresql' && exporter.embedded,
  );
  if (embedded?.type !== 'postgresql') return null;
  return keepEmbeddedServer({
    dir: embeddedHome(config.data_dir),
    port: embedded.port,
    log,
  });
}

/** Starts to keep a server in `dir` running. */
export function keepEmbeddedServer(options: {
  readonly dir: string;
  readonly port: number;
  readonly log: Logger;
}): EmbeddedServer {
  const { log } = options;
  const stopping = new AbortController();
  let server: EmbeddedPostgres | null = null;
  let tellFirst: (outcome: EmbeddedPostgres | string) => void = () => undefined;
  const first = new Promise<EmbeddedPostgres | string>((tell) => (tellFirst = tell));

  async function startOnce(): Promise<EmbeddedPostgres | string> {
    // Loaded where a server is embedded: other starts do not wait for it.
    const { startEmbeddedPostgres } = await import('../store/embedded.ts');
    const started = await startEmbeddedPostgres({
      dir: options.dir,
      port: options.port,
      signal: stopping.signal,
      log: (level, message) => log[level]({ component: 'postgresql' }, message),
    });
    return started.ok ? started.value : started.error.message;
  }

  async function keep(): Promise<void> {
    let retryMs = RETRY_MS_MIN;
    while (!stopping.signal.aborted) {
      const outcome = await startOnce();
      tellFirst(outcome);
      if (typeof outcome === 'string') {
        if (stopping.signal.aborted) return;
        log.error({ component: 'postgresql', error: outcome }, 'the embedded PostgreSQL is not up');
        await pause(retryMs, stopping.signal);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
        continue;
      }
      server = outcome;
      retryMs = RETRY_MS_MIN;
      while (!stopping.signal.aborted && isRunning(outcome.pid))
        await pause(WATCH_MS, stopping.signal);
      if (!stopping.signal.aborted)
        log.error({ component: 'postgresql' }, 'the embedded PostgreSQL ended; starting it again');
    }
  }

  const kept = keep().catch((error: unknown) => {
    log.error({ component: 'postgresql', error: messageOf(error) }, 'PostgreSQL is given up');
    tellFirst(messageOf(error));
  });

  return {
    first,
    stop: async (withinMs) => {
      stopping.abort();
      await kept;
      await server?.stop(withinMs);
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: gone. EPERM cannot be: the agent started it.
    return false;
  }
}
