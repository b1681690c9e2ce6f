/** Where an auditor's password comes from: a file, the environment, a terminal; nowhere, and there is none. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';

const VARIABLE = 'SEALTRAIL_AUDITOR_PASSWORD';

/** The password for a login; null: none is set. */
export async function readPassword(
  login: string,
  file: string | undefined,
): Promise<Result<string | null, string>> {
  if (file !== undefined) return readFirstLine(file);
  const given = process.env[VARIABLE];
  if (given !== undefined && given !== '') return ok(given);
  if (process.stdin.isTTY) return ok(await ask(`password for ${login} (empty: none): `));
  return err(`name a password with --password-file or $${VARIABLE}, or say --no-password`);
}

async function readFirstLine(file: string): Promise<Result<string, string>> {
  try {
    const all = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
    const [line = ''] = all.split(/\r?\n/, 1);
    return line === '' ? err(`${file} is empty`) : ok(line);
  } catch (error) {
    return err(messageOf(error));
  }
}

/** What is typed is not shown. */
async function ask(question: string): Promise<string | null> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    const typed = await new Promise<string>((done) => {
      lines.once('line', done);
      lines.once('close', () => done(''));
    });
    return typed === '' ? null : typed;
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}
