/** `sealtrail top`: a live view of the running agent, redrawn in place on a terminal. */
import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AgentStatus } from '../agent/status-ports.ts';
import { ok, type Result } from '../schemas/result.ts';
import {
  askAgent,
  askAgentText,
  DATA_DIR_HELP,
  DATA_DIR_OPTION,
  defaultDataDir,
} from './options.ts';
import { parseSamples } from './top-metrics.ts';
import { sampleOf, type Reading, type TopSample } from './top-sample.ts';
import { renderTop } from './top-view.ts';

interface TopOptions {
  readonly dataDir: string;
  readonly interval: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ sealtrail top
  $ sealtrail top --once                      one sample, with the rates of one interval
  $ sealtrail top --json --interval 5 | jq '{at, acks_per_s, lag: [.sinks[].lag_records]}'

Exit codes: 0 shown, or Ctrl-C, 2 no agent answers.`;

const INTERVAL_S_MIN = 0.1;
const INTERVAL_S_MAX = 3_600;
/** Another screen, so that the one before is there again afterwards; no cursor. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J';
const LEAVE = '\x1b[?25h\x1b[?1049l';
/** Of a terminal that does not know its own size. */
const ROWS_DEFAULT = 24;
const HOME = '\x1b[H';
const END_OF_LINE = '\x1b[K';
const END_OF_SCREEN = '\x1b[J';

/** Adds the command. */
export function addTopCommand(program: Command): void {
  program
    .command('top')
    .description('rates, queue, fsync, disk and lag of each sink, live')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--interval <seconds>', 'time between two samples', '1')
    .option('--once', 'one sample, then end')
    .option('--json', 'print samples as NDJSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: TopOptions) => {
      process.exitCode = await runTop(options);
    });
}

async function runTop(options: TopOptions): Promise<number> {
  const seconds = Number(options.interval);
  if (!(seconds >= INTERVAL_S_MIN && seconds <= INTERVAL_S_MAX)) {
    console.error(`top: --interval takes ${INTERVAL_S_MIN} to ${INTERVAL_S_MAX} seconds`);
    return 2;
  }
  const first = await readAgent(options.dataDir);
  if (!first.ok) {
    console.error(`top: ${first.error}`);
    return 2;
  }
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  // Whoever reads along may go: `top --json | head`.
  process.stdout.on('error', () => ending.abort());
  const screen = openScreen(options);
  try {
    return await watch(options, seconds * 1000, first.value, screen, ending.signal);
  } finally {
    screen.close();
  }
}

async function watch(
  { dataDir, once }: TopOptions,
  intervalMs: number,
  first: Reading,
  screen: Screen,
  signal: AbortSignal,
): Promise<number> {
  let before: Reading = first;
  if (once !== true) screen.show(sampleOf(first, null));
  while (await waited(intervalMs, signal)) {
    const read = await readAgent(dataDir);
    if (!read.ok) {
      if (once === true) {
        console.error(`top: ${read.error}`);
        return 2;
      }
      screen.complain(read.error);
      continue;
    }
    screen.show(sampleOf(read.value, before));
    if (once === true) return 0;
    before = read.value;
  }
  return 0;
}

/** False when the signal came first. */
async function waited(ms: number, signal: AbortSignal): Promise<boolean> {
  return sleep(ms, true, { signal }).catch((error: unknown) => {
    if (signal.aborted) return false;
    throw error;
  });
}

async function readAgent(dataDir: string): Promise<Result<Reading, string>> {
  const status = await askAgent(dataDir, 'GET', '/status');
  if (!status.ok) return status;
  const metrics = await askAgentText(dataDir, 'GET', '/metrics');
  if (!metrics.ok) return metrics;
  return ok({
    atMs: Date.now(),
    // The agent is of this build: its answer has this form.
    status: status.value as AgentStatus,
    metrics: parseSamples(metrics.value),
    disk: await readDisk(dataDir),
  });
}

async function readDisk(dataDir: string): Promise<Reading['disk']> {
  try {
    const { bsize, bavail, blocks } = await statfs(dataDir);
    return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
  } catch {
    // Not every file system tells; the view says that it is not known.
    return null;
  }
}

interface Screen {
  show(sample: TopSample): void;
  complain(reason: string): void;
  /** Gives the terminal back as it was. */
  close(): void;
}

function openScreen({ once, json }: TopOptions): Screen {
  const out = process.stdout;
  if (json === true) {
    return {
      show: (sample) => out.write(`${JSON.stringify(sample)}\n`),
      complain: (reason) => console.error(`top: ${reason}`),
      close: () => undefined,
    };
  }
  const isColoured = out.isTTY && process.env['NO_COLOR'] === undefined;
  const isLive = out.isTTY && once !== true;
  const columns = out.isTTY ? out.columns : 0;
  if (!isLive) {
    return {
      show: (sample) => out.write(`${renderTop(sample, { columns, isColoured }).join('\n')}\n`),
      complain: (reason) => console.error(`top: ${reason}`),
      close: () => undefined,
    };
  }
  const draw = (lines: readonly string[]): void => {
    const shown = lines.slice(0, (out.rows || ROWS_DEFAULT) - 1);
    const text = shown.map((line) => line + END_OF_LINE + '\n').join('');
    out.write(HOME + text + END_OF_SCREEN);
  };
  let last: readonly string[] = [];
  out.write(ENTER);
  return {
    show: (sample) => {
      last = renderTop(sample, { columns: out.columns, isColoured });
      draw(last);
    },
    complain: (reason) =>
      draw([...last, '', `no answer since then: ${reason}`.slice(0, out.columns)]),
    close: () => out.write(LEAVE),
  };
}
