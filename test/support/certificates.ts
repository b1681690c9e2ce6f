/**
 * Throw-away certificates for TLS tests: an authority, and leaves signed by it, made here (X.509 in
 * DER, RFC 5280) so that no test needs a tool that a fresh machine may lack.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

export interface Authority {
  /** PEM, what a client is to trust. */
  readonly cert: string;
  issue(
    name: string,
    options?: { readonly daysLeft?: number; readonly host?: string },
  ): { readonly cert: string; readonly key: string };
}

const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'));
const octets = (body: Uint8Array): Buffer => tlv(0x04, body);
const bits = (body: Uint8Array): Buffer => tlv(0x03, Buffer.from([0]), body);
const TRUE = tlv(0x01, Buffer.from([0xff]));

const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const BASIC_CONSTRAINTS = oid('551d13');
const SUBJECT_ALT_NAME = oid('551d11');

const nameOf = (name: string): Buffer =>
  sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from(name)))));

const utcTime = (time: Date): Buffer =>
  tlv(0x17, Buffer.from(`${time.toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)}Z`));

const DAY_MS = 86_400_000;

function certify(
  subject: string,
  publicKey: KeyObject,
  issuer: { readonly name: string; readonly key: KeyObject },
  extension: Buffer,
  daysLeft = 1,
): string {
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)]);
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    ECDSA_SHA256,
    nameOf(issuer.name),
    sequence(
      utcTime(new Date(Date.now() + Math.min(-1, daysLeft - 1) * DAY_MS)),
      utcTime(new Date(Date.now() + daysLeft * DAY_MS)),
    ),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(extension)),
  );
  const der = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, issuer.key)));
  const lines = der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** Creates an authority that issues certificates for 127.0.0.1 and localhost. */
export function createAuthority(name = 'sealtrail test authority'): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name, key: own.privateKey };
  const isAuthority = sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE)));
  const local = [tlv(0x82, Buffer.from('localhost')), tlv(0x87, Buffer.from([127, 0, 0, 1]))];
  const hosts = (host?: string): Buffer =>
    sequence(
      SUBJECT_ALT_NAME,
      octets(sequence(...(host === undefined ? local : [tlv(0x82, Buffer.from(host))]))),
    );
  return {
    cert: certify(name, own.publicKey, issuer, isAuthority),
    issue: (subject, { daysLeft, host } = {}) => {
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return {
        cert: certify(subject, leaf.publicKey, issuer, hosts(host), daysLeft),
        key: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      };
    },
  };
}
