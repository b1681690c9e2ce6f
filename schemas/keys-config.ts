/** Where the agent's keys are, a part of the configuration. */

/** A command that signs in the agent's stead, before a KMS or an HSM. docs/PROOFS.md has its protocol. */
export interface SignerConfig {
  /** Program and arguments; no shell. */
  readonly command: readonly string[];
  /** The Ed25519 public key: PEM, or base64 of its 32 bytes. */
  readonly public_key: string;
  readonly timeout_ms: number;
}

/** A signing key: one of the three. */
export interface SigningKeyConfig {
  /** Ed25519 private key, PKCS#8 PEM. */
  readonly signing_key_file?: string;
  /** The same as text, from the environment. */
  readonly signing_key?: string;
  readonly signer?: SignerConfig;
}

export interface KeysConfig extends SigningKeyConfig {
  /** HMAC key for redaction tokens, hex, 32 bytes or more. */
  readonly redaction_key_file: string;
  /** Make missing keys at the first start. */
  readonly generate: boolean;
  /** The key that `sealtrail keys rotate` lets take over; absent: one is made beside signing_key_file. */
  readonly next?: SigningKeyConfig;
}
