/**
 * What PostgreSQL keeps of a password (RFC 5803, SCRAM-SHA-256), made here: so the password itself is in no
 * statement, and in no log of the server.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** PostgreSQL's own default. */
const ITERATIONS = 4096;

/** Why a password is refused, or null. Printable ASCII: other text would have to be normalised first. */
export function findPasswordFault(password: string): string | null {
  if (!/^[\x20-\x7e]*$/.test(password)) return 'the password must be printable ASCII on one line';
  return password.length < 12 ? 'the password must have 12 characters or more' : null;
}

/** The verifier of a password. */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const mac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(mac('Client Key')).digest('base64');
  const serverKey = mac('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
