/**
 * The generated passwords of the embedded server's roles, kept in one 0600 file beside the
 * agent's keys. Losing the file loses nothing: the next start sets new ones.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../schemas/result.ts';

export interface Passwords {
  readonly admin: string;
  readonly owner: string;
  readonly writer: string;
  readonly auditor: string;
}

/** Hex only: such a password needs no quoting in SQL and no escaping in a URL. */
const FORM = /^[0-9a-f]{48}$/;

/** Reads the passwords, or makes and stores new ones (durable before this resolves). */
export async function loadPasswords(
  file: string,
): Promise<{ readonly value: Passwords; readonly created: boolean }> {
  const kept = parsePasswords(await readIfThere(file));
  if (kept !== null) return { value: kept, created: false };
  const fresh = (): string => randomBytes(24).toString('hex');
  const value = { admin: fresh(), owner: fresh(), writer: fresh(), auditor: fresh() };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  return { value, created: true };
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

function parsePasswords(text: string): Passwords | null {
  if (text.trim() === '') return null;
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) return null;
  const { admin, owner, writer, auditor }: Partial<Record<keyof Passwords, unknown>> = value;
  return isPassword(admin) && isPassword(owner) && isPassword(writer) && isPassword(auditor)
    ? { admin, owner, writer, auditor }
    : null;
}

function isPassword(value: unknown): value is string {
  return typeof value === 'string' && FORM.test(value);
}
