/**
 * `sealtrail` as it runs under a test: a process of its own, or a turn in one that has run other command lines before
 * and has its modules loaded. Both are ended by pid.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface RunningProgram {
  readonly pid: number;
  /** Undefined: it runs. Null: a signal ended it. */
  code(): number | null | undefined;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code once it has ended and all that it printed is told. */
  readonly ended: Promise<number | null>;
  /** Closes the ends of its output that this process holds. */
  stopReading(): void;
}

export interface ProgramOptions {
  readonly onOutput: (text: string, stream: 'stdout' | 'stderr') => void;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

const HOST = join(import.meta.dirname, 'command-host.mjs');
/** Stands behind the output of a command whose process goes on. */
const MARK = '\u0000ended\n';
const STREAMS = ['stdout', 'stderr'] as const;
const idle: ChildProcess[] = [];

/** Runs a command line as a process of its own. */
export function runAlone(
  [command = '', ...args]: readonly string[],
  { onOutput, env, cwd, input }: ProgramOptions & { readonly input?: string },
): RunningProgram {
  const child = spawn(command, args, { env, cwd });
  // It may end without having read any of it.
  child.stdin.on('error', () => undefined).end(input ?? '');
  for (const name of STREAMS)
    child[name].setEncoding('utf8').on('data', (text: string) => onOutput(text, name));
  // An agent that is killed leaves a database behind, which holds its output open.
  const end = input === undefined ? 'exit' : 'close';
  return programOf(
    child,
    once(child, end).then(() => child.exitCode),
  );
}

/** Runs a command line of `sealtrail` in a process that may have run others, and may run others after it. */
export function runHosted(
  words: readonly string[],
  { onOutput, env, cwd }: ProgramOptions,
): RunningProgram {
  const host = idle.pop() ?? spawn(process.execPath, [HOST], { stdio: HOST_STDIO });
  host.ref();
  const marks = STREAMS.map((name) => untilMark(host[name], (text) => onOutput(text, name)));
  async function run(): Promise<number | null> {
    const either = new AbortController();
    const code = await Promise.race([
      once(host, 'message', either).then(([told]) => (told as { readonly code: number }).code),
      once(host, 'close', either).then(() => null),
    ]).finally(() => either.abort());
    if (code === null) return host.exitCode;
    await Promise.all(marks);
    idle.push(host);
    // An idle one keeps nobody from ending, and ends with whoever started it.
    host.unref();
    return code;
  }
  const ended = run();
  host.send({ words, env, cwd, mark: MARK });
  return programOf(host, ended);
}

/** Tells what comes before the mark, which may come in pieces; resolves at the mark. */
function untilMark(stream: Readable | null, tell: (text: string) => void): Promise<void> {
  return new Promise((done) => {
    let held = '';
    const take = (text: string): void => {
      held += text;
      const at = held.indexOf(MARK);
      const from = held.lastIndexOf(MARK.charAt(0));
      const isPart = at === -1 && from !== -1 && MARK.startsWith(held.slice(from));
      const told = at === -1 ? held.slice(0, isPart ? from : undefined) : held.slice(0, at);
      held = isPart ? held.slice(from) : '';
      if (told !== '') tell(told);
      if (at === -1) return;
      stream?.off('data', take);
      done();
    };
    stream?.setEncoding('utf8').on('data', take);
  });
}

const HOST_STDIO: ('ignore' | 'pipe' | 'ipc')[] = ['ignore', 'pipe', 'pipe', 'ipc'];

function programOf(child: ChildProcess, ended: Promise<number | null>): RunningProgram {
  let code: number | null | undefined;
  void ended.then((how) => (code = how));
  return {
    pid: child.pid ?? 0,
    code: () => code,
    signal: (name) => void (code === undefined && child.kill(name)),
    ended,
    stopReading: () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
  };
}
