/** The port of the embedded server, and the file that says which one it is: whoever connects asks it each time. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Path of the file, below the folder of the server. It is there once the server has been up. */
export function portFileOf(dir: string): string {
  return join(dir, 'port');
}

/** Writes it in one step: who waits for the file must not read half of it. */
export async function writePort(portFile: string, port: number): Promise<void> {
  await writeFile(`${portFile}.new`, `${port}\n`);
  await rename(`${portFile}.new`, portFile);
}

/** The port that is wanted, the one that the file has, or a free one: a taken one is replaced, and that is logged. */
export async function pickPort(
  wanted: number,
  portFile: string,
  log: (level: 'info' | 'warn', message: string) => void,
): Promise<number> {
  const kept = wanted === 0 ? Number(await readFile(portFile, 'utf8').catch(() => '0')) : wanted;
  if (!Number.isInteger(kept) || kept < 1 || kept > 65_535) return freePort();
  if (await isFree(kept)) return kept;
  const other = await freePort();
  log('warn', `port ${kept} is taken; PostgreSQL listens on ${other} instead`);
  return other;
}

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
