/**
 * Passwords of the people list: scrypt (RFC 7914) with the parameters beside the hash. A name that there is not takes
 * as long as one that there is. One at a time: whoever tries many passwords at once gains nothing and fills no memory.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

const COST = { N: 2 ** 15, r: 8, p: 3 } as const;
const MEMORY_MAX = 128 * 1024 * 1024;
const HASH_BYTES = 32;
const FORM =
  /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_-]{16,86})\$([A-Za-z0-9_-]{43})$/;
/** Of nobody: no password has it. */
const NOBODY = `scrypt$${COST.N}$${COST.r}$${COST.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

type Cost = Readonly<Record<'N' | 'r' | 'p', number>>;

/** The line for the people list. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, salt, COST);
  const { N, r, p } = COST;
  return ['scrypt', N, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

/** Whether a text is a hash with a cost that can be paid: where it cannot, signing in under that name fails in another way. */
export function isPasswordHash(text: string): boolean {
  const { N, r, p } = costOf(text);
  const isPower = N > 1 && (N & (N - 1)) === 0;
  return isPower && r > 0 && p > 0 && 128 * r * (N + p + 2) <= MEMORY_MAX;
}

export interface PasswordCheck {
  /** Whether it is the password behind a hash; undefined: there is no such person, and the answer is no. */
  isRight(password: string, hash: string | undefined): Promise<boolean>;
}

/** Creates a check that looks at one password at a time. */
export function createPasswordCheck(): PasswordCheck {
  let turn: Promise<unknown> = Promise.resolve();
  return {
    isRight(password, hash) {
      const mine = turn.then(() => compare(password, hash ?? NOBODY));
      // Whoever asked hears of a failure; the next one only waits for its end.
      turn = mine.then(Boolean, Boolean);
      return mine.then((isSame) => isSame && hash !== undefined);
    },
  };
}

async function compare(password: string, line: string): Promise<boolean> {
  const [, , , , salt = '', hash = ''] = FORM.exec(line) ?? [];
  const derived = await derive(password, Buffer.from(salt, 'base64url'), costOf(line));
  return timingSafeEqual(derived, Buffer.from(hash, 'base64url'));
}

/** Of what is no hash: zeros. */
function costOf(line: string): Cost {
  const [, N = 0, r = 0, p = 0] = FORM.exec(line) ?? [];
  return { N: Number(N), r: Number(r), p: Number(p) };
}

function derive(password: string, salt: Buffer, cost: Cost): Promise<Buffer> {
  return new Promise((done, fail) =>
    scrypt(
      password.normalize('NFKC'),
      salt,
      HASH_BYTES,
      { ...cost, maxmem: MEMORY_MAX },
      (error, key) => (error === null ? done(key) : fail(error)),
    ),
  );
}
