/**
 * node:fs/promises with one operation below a folder that fails, tears or is the last one of its process; for code
 * that takes no file system as a port. A test puts it in the module's place:
 *   vi.mock('node:fs/promises', async (original) => (await import('…/failing-files.ts')).gateFiles(await original()))
 */
import type * as nodeFs from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { countOf, type NamedPlace } from './operations.ts';

/** What befalls an operation; of a write half may be done before. */
export interface FileFault extends NamedPlace {
  readonly kind: 'fails' | 'is the last one';
  readonly code?: string;
  readonly isTorn?: boolean;
}

export interface GatedFolder extends AsyncDisposable {
  /** Names of the operations below the folder so far. */
  readonly operations: readonly string[];
  /** Resolves when the process is killed. */
  readonly killed: Promise<void>;
  /** Whether it was disposed of. */
  isOver(): boolean;
}

interface Gate {
  readonly dir: string;
  readonly fault: FileFault | null;
  readonly operations: string[];
  readonly handles: FileHandle[];
  /** What is under way: it began before the kill, and its end is seen by the next process. */
  readonly begun: Set<Promise<unknown>>;
  /** Resolves when the trial is over: a process that was killed does nothing until then, and fails after it. */
  readonly over: Promise<void>;
  isKilled: boolean;
  tellKilled(): void;
}

const gates = new Set<Gate>();

/** Counts the operations below a folder, and lets one go wrong. Dispose of it once the trial is over. */
export function gateFolder(dir: string, fault: FileFault | null): GatedFolder {
  let tellKilled = (): void => undefined;
  let end = (): void => undefined;
  let isOver = false;
  const killed = new Promise<void>((tell) => (tellKilled = tell));
  const over = new Promise<void>((tell) => (end = tell));
  const begun = new Set<Promise<unknown>>();
  const gate: Gate = {
    ...{ dir, fault, operations: [], handles: [], begun, over },
    ...{ isKilled: false, tellKilled },
  };
  gates.add(gate);
  return {
    operations: gate.operations,
    killed,
    isOver: () => isOver,
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      end();
      // What a killed process held open its end would have closed.
      await Promise.all(gate.handles.map((file) => file.close()));
    },
  };
}

type Call = (...parameters: unknown[]) => Promise<unknown>;
/** What a write that is cut short does. */
type Half = (...parameters: unknown[]) => readonly unknown[];

const HALF_OF: Readonly<Record<string, Half>> = {
  write: (bytes, at, length) => [bytes, at, Number(length) >> 1],
  writeFile: (path, text, options) => [
    path,
    String(text).slice(0, String(text).length / 2),
    options,
  ],
};

/** The call, as the gate of its path has it. */
function gated(name: string, call: Call, gateOf: (path: unknown) => Gate | undefined): Call {
  return async (...parameters) => {
    const gate = gateOf(parameters[0]);
    if (gate === undefined) return call(...parameters);
    const { fault, isKilled } = gate;
    const isIt = fault?.name === name && fault.nth === countOf(gate.operations, name);
    gate.operations.push(name);
    if (!isIt && !isKilled) {
      const running = call(...parameters);
      gate.begun.add(running);
      return running.finally(() => gate.begun.delete(running));
    }
    const half = async (): Promise<unknown> => {
      const part = HALF_OF[name]?.(...parameters);
      return part && call(...part);
    };
    if (fault?.kind === 'fails') {
      if (fault.isTorn === true) await half();
      throw Object.assign(new Error(`${fault.code}: injected into ${name}`), { code: fault.code });
    }
    if (!isKilled) {
      gate.isKilled = true;
      // Whatever came of it, the process does not hear of it any more.
      await Promise.allSettled([fault?.isTorn === true ? half() : call(...parameters)]);
      await Promise.allSettled(gate.begun);
      gate.tellKilled();
    }
    await gate.over;
    throw new Error('the process was killed');
  };
}

const gateAt = (path: unknown): Gate | undefined =>
  [...gates].find(({ dir }) => `${String(path)}/`.startsWith(`${dir}/`));

function gateHandle(file: FileHandle, gate: Gate): FileHandle {
  gate.handles.push(file);
  for (const name of ['write', 'datasync', 'sync', 'truncate', 'readFile']) {
    const method: Call = Reflect.get(file, name).bind(file);
    Reflect.set(
      file,
      name,
      gated(name, method, () => gate),
    );
  }
  return file;
}

/** The module with every operation that writes, reads or names a file behind its gate. */
export function gateFiles(real: typeof nodeFs): typeof nodeFs {
  const open: Call = async (path, ...rest) => {
    const file: FileHandle = await Reflect.apply(real.open, real, [path, ...rest]);
    const gate = gateAt(path);
    return gate === undefined ? file : gateHandle(file, gate);
  };
  const names = ['mkdir', 'readdir', 'rename', 'rm', 'rmdir', 'lstat', 'readFile', 'writeFile'];
  const others = names.map((name) => [name, gated(name, Reflect.get(real, name), gateAt)]);
  return { ...real, open: gated('open', open, gateAt), ...Object.fromEntries(others) };
}
