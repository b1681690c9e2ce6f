/** The version of this build, as package.json states it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** package.json is one folder up from the sources and two from the compiled files. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    const file = fileURLToPath(new URL(path, import.meta.url));
    if (!existsSync(file)) continue;
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && 'version' in parsed)
      return String(parsed.version);
  }
  throw new Error('package.json is missing: the installation is incomplete');
}

export const VERSION: string = readVersion();
