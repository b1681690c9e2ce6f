/** Lines by partition, in files: a lake of any size is sorted into its days in flat memory. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Spill {
  add(partition: string, line: string): void;
  /** Writes what is left; each partition and the file of its lines, by name. */
  finish(): readonly (readonly [partition: string, file: string])[];
}

const BUFFERED_CHARACTERS = 16 * 1024 * 1024;

/** Creates an empty one in a folder. */
export function createSpill(dir: string): Spill {
  const buffered = new Map<string, string[]>();
  const files = new Map<string, string>();
  let characters = 0;

  function flush(): void {
    for (const [partition, lines] of buffered) {
      const file = join(dir, `${partition}.ndjson`);
      if (!files.has(partition)) mkdirSync(dirname(file), { recursive: true });
      files.set(partition, file);
      appendFileSync(file, lines.join(''));
    }
    buffered.clear();
    characters = 0;
  }

  return {
    add: (partition, line) => {
      const lines = buffered.get(partition) ?? [];
      buffered.set(partition, lines);
      lines.push(`${line}\n`);
      characters += line.length;
      if (characters > BUFFERED_CHARACTERS) flush();
    },
    finish: () => {
      flush();
      return [...files].sort(([one], [other]) => (one < other ? -1 : 1));
    },
  };
}
