/** The real file system, with one operation that fails or tears, chosen by its place in the run. */
import {
  nodeFilesystem,
  replaceBy,
  type Filesystem,
  type LedgerFile,
} from '../../ledger/filesystem.ts';
import { countOf, type NamedPlace } from './operations.ts';

/** 0-based place of an operation: among those of its name, or among all, where they come in the same order in each run. */
export type Place = NamedPlace | { readonly at: number };

export type Fault = Place & {
  readonly code: 'EIO' | 'ENOSPC' | 'EMFILE';
  /** For a write: how many of its bytes reach the file before it fails. */
  readonly tearTo?: number;
};

export interface FaultyFilesystem extends Filesystem {
  /** Names of the operations so far, in order; the steps of a replacement begin with `replace: `. */
  readonly operations: readonly string[];
}

/** Creates a file system over the real one; without a fault it only counts. `reads`: they can fail as well. */
export function createFaultyFilesystem(
  fault: Fault | null,
  { reads = false }: { readonly reads?: boolean } = {},
): FaultyFilesystem {
  const operations: string[] = [];

  /** The fault, where it befalls this one. */
  function begin(name: string): Fault | null {
    const at = operations.push(name) - 1;
    if (fault === null) return null;
    const isIt =
      'at' in fault
        ? fault.at === at
        : fault.name === name && fault.nth === countOf(operations, name) - 1;
    return isIt ? fault : null;
  }

  function step(name: string): void {
    const met = begin(name);
    if (met !== null) throw injected(met, name);
  }

  function wrap(file: LedgerFile, of = ''): LedgerFile {
    return {
      ...file,
      append: async (bytes) => {
        const met = begin(`${of}append`);
        const torn = Math.min(met?.tearTo ?? 0, bytes.length);
        if (torn > 0) await file.append(bytes.subarray(0, torn));
        if (met !== null) throw injected(met, `${of}append`);
        await file.append(bytes);
      },
      datasync: async () => {
        step(`${of}datasync`);
        await file.datasync();
      },
      sync: async () => {
        step(`${of}sync`);
        await file.sync();
      },
      truncate: async (bytes) => {
        step(`${of}truncate`);
        await file.truncate(bytes);
      },
    };
  }

  const stepsOf = (of: string): Parameters<typeof replaceBy>[0] => ({
    create: async (path) => {
      step(`${of}create`);
      return wrap(await nodeFilesystem.create(path), of);
    },
    rename: async (from, to) => {
      step(`${of}rename`);
      await nodeFilesystem.rename(from, to);
    },
    remove: async (path) => {
      step(`${of}remove`);
      await nodeFilesystem.remove(path);
    },
    syncDir: async (dir) => {
      step(`${of}syncDir`);
      await nodeFilesystem.syncDir(dir);
    },
  });

  return {
    ...nodeFilesystem,
    ...stepsOf(''),
    replace: replaceBy(stepsOf('replace: ')),
    operations,
    open: async (path) => {
      step('open');
      return wrap(await nodeFilesystem.open(path));
    },
    openRead: async (path) => {
      if (reads) step('openRead');
      return nodeFilesystem.openRead(path);
    },
    readFile: async (path) => {
      if (reads) step('readFile');
      return nodeFilesystem.readFile(path);
    },
    list: async (dir) => {
      if (reads) step('list');
      return nodeFilesystem.list(dir);
    },
    makeDir: async (dir) => {
      if (reads) step('makeDir');
      await nodeFilesystem.makeDir(dir);
    },
  };
}

function injected({ code }: Fault, name: string): Error {
  return Object.assign(new Error(`${code}: injected into ${name}`), { code });
}
