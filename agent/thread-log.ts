/** The app log of a thread that has none of its own: each line is a message to the main thread. */
import type { Logger } from './ports.ts';

/** What the main thread writes into the log. */
export interface LogMessage {
  readonly kind: 'log';
  readonly level: keyof Logger;
  readonly fields: object;
  readonly message: string;
}

/** Creates a log that tells. */
export function createThreadLog(tell: (message: LogMessage) => void): Logger {
  const say =
    (level: keyof Logger) =>
    (fields: object, message: string): void =>
      tell({ kind: 'log', level, fields, message });
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
}
