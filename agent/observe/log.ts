/**
 * The app log: what the agent says about itself, through pino. JSON lines on standard error, readable
 * lines on a terminal. It never carries event contents: log-fields.ts is the guard.
 */
import { isatty } from 'node:tty';
import { destination as openPinoDestination, pino, stdTimeFunctions } from 'pino';
import type { Logger } from '../ports.ts';
import { boundText, withoutContents } from './log-fields.ts';
import { formatLine } from './log-text.ts';

/** Where lines go; each ends with a line end. */
export interface LogDestination {
  write(line: string): unknown;
  /** True: a person reads along, lines are text instead of JSON. */
  readonly isTTY?: boolean;
}

/** The agent's log; how much it says can change. */
export interface AppLog extends Logger {
  setLevel(level: AppLogOptions['level']): void;
}

export interface AppLogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Name of the agent, in each line. */
  readonly name: string;
  /** Default: standard error. */
  readonly destination?: LogDestination;
}

/** What waits in memory while standard error takes nothing, in bytes; lines beyond it are lost. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** Creates the app log. Fields that are not on the list in log-fields.ts do not get into it. */
export function createAppLog(options: AppLogOptions): AppLog {
  const destination = options.destination ?? openLogDestination(2);
  const lines =
    destination.isTTY === true
      ? { write: (line: string) => void destination.write(formatLine(line)) }
      : destination;
  const log = pino(
    {
      level: options.level,
      base: { name: options.name, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    lines,
  );
  const at =
    (level: AppLogOptions['level']) =>
    (fields: object, message: string): void => {
      if (log.isLevelEnabled(level)) log[level](withoutContents(fields), boundText(message));
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    setLevel: (level) => (log.level = level),
  };
}

/**
 * Opens a file descriptor for the log. Writes are synchronous: what was said before a crash is there.
 * A full disk or a closed pipe costs lines, and MUST NOT end the agent.
 */
export function openLogDestination(descriptor: number): LogDestination {
  const stream = openPinoDestination({
    dest: descriptor,
    sync: true,
    maxLength: WAITING_BYTES_MAX,
  });
  // Unheard, an error of the stream would be thrown; and there is nowhere left to report it.
  stream.on('error', () => undefined);
  return { write: (line) => stream.write(line), isTTY: isatty(descriptor) };
}
