/** What a new installation starts from: the packaged configuration and vocabulary, written into a folder. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../schemas/result.ts';

export interface InitOptions {
  /** Made when missing. */
  readonly dir: string;
  /** Replace files that are there. */
  readonly force: boolean;
  readonly say: (line: string) => void;
}

const CONFIG_NAME = 'sealtrail.yaml';
const NAMES = [CONFIG_NAME, 'vocabulary.json'];

/** Writes both files or none. Exit code: 0 written, 1 one is there already, 2 it cannot be written. */
export async function runInit({ dir, force, say }: InitOptions): Promise<number> {
  const there = NAMES.map((name) => join(dir, name)).filter((path) => existsSync(path));
  if (there.length > 0 && !force) {
    say(
      `${there.join(' and ')} would be replaced; say --force if they may, or name another folder`,
    );
    return 1;
  }
  const packaged = packagedFolder();
  try {
    await mkdir(dir, { recursive: true });
    for (const name of NAMES) {
      const text = await readFile(join(packaged, name));
      await writeFile(join(dir, name), text, { flag: force ? 'w' : 'wx' });
    }
  } catch (error) {
    say(`cannot write into ${dir}: ${messageOf(error)}`);
    return 2;
  }
  const config = join(dir, CONFIG_NAME);
  const examples = join(packaged, 'examples');
  const shorter = relative('.', examples);
  say(`Wrote ${config} and ${join(dir, 'vocabulary.json')}.

Next:
  1. Declare your tenants in ${config}, and your actions in vocabulary.json.
  2. sealtrail config check ${config}
  3. sealtrail agent --config ${config}

Other set-ups to copy from: ${shorter.startsWith('..') ? examples : shorter}/`);
  return 0;
}

/** config/ of the package: one folder up from the sources and two from the compiled files. */
function packagedFolder(): string {
  const [compiled = '', source = ''] = ['../../config', '../config'].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  return existsSync(join(source, CONFIG_NAME)) ? source : compiled;
}
