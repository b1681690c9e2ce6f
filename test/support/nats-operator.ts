/** A NATS operator as `nsc` makes one: an account with JetStream, and users by JWT, in the form of creds files. */
import { randomUUID } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';

export interface NatsOperator {
  /** For the server's configuration. */
  readonly config: string;
  /** The text of a creds file: JWT and seed of a user. */
  readonly creds: string;
  /** Of another user, whose time is over. */
  readonly expiredCreds: string;
}

const LIMITS = {
  ...{ subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1 },
  ...{ leaf: -1, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
};

/** Makes an operator with everything below it. */
export function createNatsOperator(): NatsOperator {
  const operator = nkeys.createOperator();
  const operatorId = operator.getPublicKey();
  const operatorJwt = sign(operator, operatorId, { type: 'operator' });
  // JetStream does not start without a system account.
  const [account, system] = [nkeys.createAccount(), nkeys.createAccount()];
  const preloaded = [account, system].map((one) => {
    const id = one.getPublicKey();
    const limits = one === account ? LIMITS : { ...LIMITS, mem_storage: 0, disk_storage: 0 };
    return `${id}: ${sign(operator, id, { type: 'account', limits })}`;
  });
  const credsOf = (more: object): string => {
    const user = nkeys.createUser();
    const claims = { type: 'user', subs: -1, data: -1, payload: -1 };
    const jwt = sign(account, user.getPublicKey(), claims, more);
    const seed = Buffer.from(user.getSeed()).toString();
    return `${part('NATS USER JWT', jwt)}\n${part('USER NKEY SEED', seed)}`;
  };
  return {
    config: [
      `operator: ${operatorJwt}`,
      `system_account: ${system.getPublicKey()}`,
      `resolver: MEMORY\nresolver_preload: { ${preloaded.join('\n')} }`,
    ].join('\n'),
    creds: credsOf({}),
    expiredCreds: credsOf({ exp: 1 }),
  };
}

const part = (name: string, text: string): string =>
  `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n`;

/** A JWT of NATS, version 2. */
function sign(
  by: ReturnType<typeof nkeys.createUser>,
  sub: string,
  claims: { readonly type: string } & Readonly<Record<string, unknown>>,
  more: object = {},
): string {
  const encode = (value: object): string =>
    Buffer.from(JSON.stringify(value)).toString('base64url');
  const payload = {
    jti: randomUUID(),
    iat: Math.floor(Date.now() / 1000),
    iss: by.getPublicKey(),
    name: claims.type,
    sub,
    nats: { ...claims, version: 2 },
    ...more,
  };
  const text = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(payload)}`;
  const signature = by.sign(new TextEncoder().encode(text));
  return `${text}.${Buffer.from(signature).toString('base64url')}`;
}
