/**
 * The generated passwords of the embedded server's roles, kept in one 0600 file beside the
 * agent's keys. Losing the file loses nothing: the next start sets new ones.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../schemas/result.ts';

const ROLES = ['admin', 'owner', 'writer', 'auditor', 'retention', 'legal'] as const;
export type PasswordRole = (typeof ROLES)[number];
export type Passwords = Readonly<Record<PasswordRole, string>>;

/** Hex only: such a password needs no quoting in SQL and no escaping in a URL. */
const FORM = /^[0-9a-f]{48}$/;

/** Reads the passwords, or makes and stores new ones (durable before this resolves). */
export async function loadPasswords(
  file: string,
): Promise<{ readonly value: Passwords; readonly created: boolean }> {
  const kept = parsePasswords(await readIfThere(file));
  const missing = ROLES.filter((role) => kept[role] === undefined);
  const fresh = missing.map((role) => [role, randomBytes(24).toString('hex')]);
  const value = { ...kept, ...Object.fromEntries(fresh) } as Passwords;
  if (missing.length === 0) return { value, created: false };
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

/** Those that are there and whole; a file of an earlier version has fewer. */
function parsePasswords(text: string): Partial<Passwords> {
  if (text.trim() === '') return {};
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter(
      ([role, password]) => ROLES.includes(role as PasswordRole) && isPassword(password),
    ),
  );
}

function isPassword(value: unknown): value is string {
  return typeof value === 'string' && FORM.test(value);
}
