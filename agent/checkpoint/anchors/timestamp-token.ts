/**
 * RFC 3161 time-stamps over SHA-256: the request, and the full check of a token. The token must state the hash,
 * be signed by a certificate that may do nothing but stamp, whose chain ends in an authority that is trusted,
 * at the time that it states. CMS and X.509 by pkijs.
 */
import { createHash, webcrypto, X509Certificate } from 'node:crypto';
import { fromBER, Integer, OctetString } from 'asn1js';
import {
  AlgorithmIdentifier,
  Certificate,
  ContentInfo,
  CryptoEngine,
  ExtKeyUsage,
  MessageImprint,
  setEngine,
  SignedData,
  TimeStampReq,
  TimeStampResp,
  TSTInfo,
} from 'pkijs';
import { err, messageOf, ok, type Result } from '../../../schemas/result.ts';

const SHA_256 = '2.16.840.1.101.3.4.2.1';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const SIGNED_DATA = '1.2.840.113549.1.7.2';
const EXT_KEY_USAGE = '2.5.29.37';
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
/** granted, grantedWithMods. */
const GRANTED: readonly number[] = [0, 1];

/** The same interface, under the name that pkijs has for it. */
type NodeCrypto = ConstructorParameters<typeof CryptoEngine>[0]['crypto'];
setEngine('node', new CryptoEngine({ name: 'node', crypto: webcrypto as NodeCrypto }));

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Writes a request for a time-stamp over these bytes. `nonce`: 8 bytes, the first of them below 0x80 and not 0. */
export function formatRequest(bytes: Uint8Array, nonce: Uint8Array): Buffer {
  const request = new TimeStampReq({
    version: 1,
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithmId: SHA_256 }),
      hashedMessage: new OctetString({ valueHex: exact(sha256(bytes)) }),
    }),
    nonce: new Integer({ valueHex: exact(nonce) }),
    certReq: true,
  });
  return Buffer.from(request.toSchema().toBER());
}

/** The token of a reply, DER; an error says what the authority says, or that it is none. */
export function parseReply(reply: Uint8Array): Result<Buffer, string> {
  try {
    const { status, timeStampToken } = TimeStampResp.fromBER(exact(reply));
    if (!GRANTED.includes(status.status) || timeStampToken === undefined)
      return err(`the authority refuses with status ${status.status}`);
    return ok(Buffer.from(timeStampToken.toSchema().toBER()));
  } catch (error) {
    return err(`what it answers is no time-stamp reply: ${messageOf(error)}`);
  }
}

/** Verifies a token over these bytes; resolves with the time that it states. `authorities`: PEM. */
export async function verifyToken(
  token: Uint8Array,
  bytes: Uint8Array,
  authorities: string,
  nonce?: Uint8Array,
): Promise<Result<Date, string>> {
  try {
    const content = ContentInfo.fromBER(exact(token));
    if (content.contentType !== SIGNED_DATA) return err('the token is not signed');
    const signed = new SignedData({ schema: content.content });
    const { eContentType, eContent } = signed.encapContentInfo;
    if (eContentType !== TST_INFO || eContent === undefined)
      return err('what is signed is no time-stamp');
    const info = TSTInfo.fromBER(eContent.getValue());
    const { hashAlgorithm, hashedMessage } = info.messageImprint;
    const imprint = Buffer.from(hashedMessage.valueBlock.valueHexView);
    if (hashAlgorithm.algorithmId !== SHA_256 || !imprint.equals(sha256(bytes)))
      return err('the time-stamp is over other bytes');
    const stated =
      info.nonce === undefined ? null : Buffer.from(info.nonce.valueBlock.valueHexView);
    if (nonce !== undefined && stated?.equals(nonce) !== true)
      return err('the time-stamp answers another request');
    if (signed.signerInfos.length !== 1) return err('a time-stamp has one signature');
    const verified = await signed.verify({
      signer: 0,
      data: exact(bytes),
      trustedCerts: certificatesOf(authorities),
      checkChain: true,
      checkDate: info.genTime,
      extendedMode: true,
    });
    if (verified.signatureVerified !== true || verified.signerCertificateVerified !== true)
      return err(`the time-stamp does not verify: ${verified.message}`);
    const signer = verified.signerCertificate;
    if (!signer || !mayStampOnly(signer))
      return err("the signer's certificate is not one for time-stamps alone");
    return ok(info.genTime);
  } catch (error) {
    // pkijs rejects with what it found wrong.
    return err(`the time-stamp does not verify: ${messageOf(error)}`);
  }
}

/** The certificates of a PEM file; throws when it holds none. */
export function certificatesOf(pem: string): Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new Error('no certificate is in the file');
  return blocks.map((block) => Certificate.fromBER(exact(new X509Certificate(block).raw)));
}

/** RFC 3161, 2.3: an extended key usage of time-stamping alone, critical. */
function mayStampOnly({ extensions = [] }: Certificate): boolean {
  const usage = extensions.find(({ extnID }) => extnID === EXT_KEY_USAGE);
  if (usage?.critical !== true) return false;
  const { result } = fromBER(usage.extnValue.valueBlock.valueHexView);
  const { keyPurposes } = new ExtKeyUsage({ schema: result });
  return keyPurposes.length === 1 && keyPurposes[0] === TIME_STAMPING;
}

/** A buffer of its own: those of Node share one. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
