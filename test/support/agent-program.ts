/**
 * `sealtrail agent` as it runs under a test: a process of its own, or a turn in one that has run others before and
 * has its modules loaded. Both are ended by pid.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from './agent-peer.ts';

export interface AgentProgram {
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
  readonly onOutput: (text: string) => void;
  readonly env: NodeJS.ProcessEnv;
}

const HOST = join(import.meta.dirname, 'agent-host.mjs');
/** Stands behind the output of an agent whose process goes on. */
const MARK = '\u0000ended\n';
const idle: ChildProcess[] = [];

/** Runs a command line as a process of its own. */
export function runAlone(
  [command = '', ...args]: readonly string[],
  { onOutput, env }: ProgramOptions,
): AgentProgram {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', onOutput);
  return programOf(
    child,
    once(child, 'exit').then(() => child.exitCode),
  );
}

/** Runs an agent in a process that may have run others, and may run others after it. */
export function runHosted(configFile: string, { onOutput, env }: ProgramOptions): AgentProgram {
  const host = idle.pop() ?? spawn(process.execPath, [HOST], { env, stdio: HOST_STDIO });
  host.ref();
  const tails: string[] = [];
  const streams = [host.stdout, host.stderr].map((stream, index) => {
    tails[index] = '';
    const take = (text: string): void => {
      tails[index] = `${tails[index]}${text}`.slice(-MARK.length);
      onOutput(text.replace(MARK, ''));
    };
    stream?.setEncoding('utf8').on('data', take);
    return () => stream?.off('data', take);
  });
  async function run(): Promise<number | null> {
    const either = new AbortController();
    const code = await Promise.race([
      once(host, 'message', either).then(([told]) => (told as { readonly code: number }).code),
      once(host, 'exit', either).then(() => null),
    ]).finally(() => either.abort());
    if (code === null) return host.exitCode;
    await until(
      () => tails.every((tail) => tail === MARK),
      'the output of an agent that has ended',
    );
    for (const detach of streams) detach();
    idle.push(host);
    // An idle one keeps nobody from ending, and ends with whoever started it.
    host.unref();
    return code;
  }
  const ended = run();
  host.send({ configFile, mark: MARK });
  return programOf(host, ended);
}

const HOST_STDIO: ('ignore' | 'pipe' | 'ipc')[] = ['ignore', 'pipe', 'pipe', 'ipc'];

function programOf(child: ChildProcess, ended: Promise<number | null>): AgentProgram {
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
