/**
 * Where the embedded server is, as its files say at the moment of asking. The agent's delivery thread
 * connects by this: the server may start later than the thread, or come back on another port.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf } from '../schemas/result.ts';
import type { DatabaseAddress } from './connection.ts';
import { DATABASE } from './embedded-cluster.ts';
import { loadPasswords, type PasswordRole } from './embedded-passwords.ts';
import { portFileOf } from './embedded-port.ts';

/** Folder of the server that an agent embeds. */
export function embeddedHome(dataDir: string): string {
  return join(dataDir, 'postgres');
}

/** Default of the password file of a server in `dir`. */
export function passwordFileOf(dir: string): string {
  return join(dirname(dir), 'keys', 'postgres-passwords.json');
}

/** The address of a role; the agent never asks for `admin`, the superuser. Rejects with a plain Error while the server has never been up. */
export function embeddedAddress(dir: string, role: PasswordRole): DatabaseAddress {
  return async () => {
    const port = await readPort(portFileOf(dir));
    const { value } = await loadPasswords(passwordFileOf(dir));
    return embeddedUrl(role, value[role], port);
  };
}

/** The URL of a role of the embedded server. */
export function embeddedUrl(role: string, password: string, port: number): string {
  return `postgresql://sealtrail_${role}:${password}@127.0.0.1:${port}/${DATABASE}`;
}

async function readPort(file: string): Promise<number> {
  try {
    return Number.parseInt(await readFile(file, 'utf8'), 10);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw new Error('the embedded PostgreSQL is not up yet', { cause: error });
  }
}
