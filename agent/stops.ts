/** What has been started, to be stopped in the reverse order, each once, whatever the others do. */
import type { Logger } from './ports.ts';
import { messageOf } from '../schemas/result.ts';

export interface Stops {
  add(name: string, stop: () => Promise<void> | void): void;
  /** Stops everything, last started first; never rejects. Later calls wait for the first. */
  run(): Promise<void>;
}

/** Creates an empty list. */
export function createStops(log: Logger): Stops {
  const stops: { readonly name: string; readonly stop: () => Promise<void> | void }[] = [];
  let running: Promise<void> | null = null;

  async function runAll(): Promise<void> {
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) {
      try {
        await next.stop();
      } catch (error) {
        log.error(
          { component: next.name, error: messageOf(error) },
          'could not be stopped cleanly',
        );
      }
    }
  }

  return {
    add: (name, stop) => stops.push({ name, stop }),
    run: () => (running ??= runAll()),
  };
}
