/** What the commands on the vault share: its address, its client, and the answer when it has none. */
import type { Client } from 'pg';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { createConnection } from '../store/connection.ts';

export const URL_OPTION = '--url <url>';
export const URL_HELP = 'PostgreSQL of the vault (default: $SEALTRAIL_VAULT_URL)';
export const KEYS_OPTION = '--keys <file>';
export const KEYS_HELP =
  "the vault's key file (default: $SEALTRAIL_VAULT_KEY_FILE or vault/vault.keys)";

/** Runs work on the vault; an error of the database, or of the work, is for the person who asked. */
export async function withVault<T>(
  url: string | undefined,
  work: (client: Client) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  const address = url ?? process.env['SEALTRAIL_VAULT_URL'] ?? '';
  if (address === '') return err('which vault? Give --url, or set SEALTRAIL_VAULT_URL');
  const connection = createConnection({ url: address, applicationName: 'sealtrail vault' });
  try {
    return await work(await connection.client());
  } catch (error) {
    return err(`the vault: ${messageOf(error)}`);
  } finally {
    connection.drop();
  }
}

/** The database's word for what a command did; for its last line. */
export function fail(command: string, message: string): number {
  console.error(`${command}: ${message}`);
  return 2;
}

/** One line of standard input. */
export async function readStandardInput(): Promise<Result<string, string>> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const line = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  return line === '' ? err('standard input is empty; it has to be the identity') : ok(line);
}
