/** A broker's SASL on one connection: SaslHandshake, then SaslAuthenticate with PLAIN or SCRAM. */
import { beginScram, type ScramAccount, type ScramExchange } from './scram.ts';

export const SASL_HANDSHAKE = 17;
export const SASL_AUTHENTICATE = 36;
const UNSUPPORTED_MECHANISM = 33;
const ILLEGAL_STATE = 34;
const AUTHENTICATION_FAILED = 58;

/** Who is let in, and how. */
export type SaslOptions =
  | { readonly mechanism: 'PLAIN'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512'; readonly account: ScramAccount };

export interface SaslSession {
  isAllowed(): boolean;
  /** Body of the answer to one of the two requests. */
  answer(apiKey: number, request: Buffer): Buffer;
}

/** Begins; `current` is asked once the client is. */
export function beginSasl(current: () => SaslOptions | undefined): SaslSession {
  let isAllowed = current() === undefined;
  let isAgreed = false;
  let scram: ScramExchange | null = null;

  /** What goes back to the client; null: it is not let in. */
  function judge(options: SaslOptions, said: string): string | null {
    if (options.mechanism === 'PLAIN') {
      isAllowed = said === `\0${options.username}\0${options.password}`;
      return isAllowed ? '' : null;
    }
    if (scram === null) {
      scram = beginScram(options.account);
      return scram.first(said);
    }
    const done = scram.final(said);
    isAllowed = done !== null;
    return done;
  }

  return {
    isAllowed: () => isAllowed,
    answer: (apiKey, request) => {
      const options = current();
      const body = bodyOf(request);
      if (apiKey === SASL_HANDSHAKE) {
        const mechanism = options?.mechanism ?? '';
        isAgreed = body.subarray(2).toString() === mechanism;
        const code = isAgreed ? 0 : UNSUPPORTED_MECHANISM;
        return Buffer.concat([
          int16(code),
          int32(1),
          int16(mechanism.length),
          Buffer.from(mechanism),
        ]);
      }
      if (!isAgreed || options === undefined) return authenticated(ILLEGAL_STATE, '');
      const said = judge(options, body.subarray(4).toString());
      return said === null ? authenticated(AUTHENTICATION_FAILED, '') : authenticated(0, said);
    },
  };
}

/** Error code, no message, the mechanism's bytes, no lifetime. */
function authenticated(code: number, text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([int16(code), int16(-1), int32(bytes.length), bytes, Buffer.alloc(8)]);
}

/** Behind length, api key, version, correlation id and the client's name. */
function bodyOf(request: Buffer): Buffer {
  return request.subarray(14 + Math.max(0, request.readInt16BE(12)));
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
