/** The `keys` section of a configuration: its form, its defaults, and what config.schema.json cannot say of it. */
import type { KeysConfig, SignerConfig, SigningKeyConfig } from '../schemas/keys-config.ts';
import { KEYS_DEFAULTS, SIGNER_TIMEOUT_MS_DEFAULT } from './config-defaults.ts';
import type { FieldFault } from './config-source.ts';
import { parsePublicKey } from './signing-key.ts';

interface SigningKeyForm extends Omit<SigningKeyConfig, 'signer'> {
  readonly signer?: Omit<SignerConfig, 'timeout_ms'> & { readonly timeout_ms?: number };
}

/** The section as it stands in the file. */
export interface KeysForm extends SigningKeyForm {
  readonly redaction_key_file?: string;
  readonly generate?: boolean;
  readonly next?: SigningKeyForm | null;
}

/** Fills in defaults; paths are relative to data_dir. */
export function completeKeys(
  form: KeysForm | null | undefined,
  inData: (path: string) => string,
): KeysConfig {
  const { redaction_key_file, generate, next, ...own } = { ...KEYS_DEFAULTS, ...form };
  const isElsewhere = own.signing_key !== undefined || own.signer !== undefined;
  const { signing_key_file, ...elsewhere } = own;
  return {
    redaction_key_file: inData(redaction_key_file),
    generate,
    ...completeSigningKey(isElsewhere ? elsewhere : { signing_key_file }, inData),
    ...(next != null && { next: completeSigningKey(next, inData) }),
  };
}

function completeSigningKey(
  { signing_key_file, signing_key, signer }: SigningKeyForm,
  inData: (path: string) => string,
): SigningKeyConfig {
  return {
    ...(signing_key_file !== undefined && { signing_key_file: inData(signing_key_file) }),
    ...(signing_key !== undefined && { signing_key }),
    ...(signer !== undefined && { signer: { timeout_ms: SIGNER_TIMEOUT_MS_DEFAULT, ...signer } }),
  };
}

const SOURCES = ['signing_key_file', 'signing_key', 'signer'] as const;

/** A signing key comes from one place. */
export function checkKeys({
  form,
}: {
  readonly form: { readonly keys?: KeysForm | null };
}): readonly FieldFault[] {
  const { keys } = form;
  return [
    ...checkSigningKey(keys ?? {}, '/keys'),
    ...(keys?.next == null ? [] : checkSigningKey(keys.next, '/keys/next')),
  ];
}

function checkSigningKey(form: SigningKeyForm, field: string): readonly FieldFault[] {
  const given = SOURCES.filter((name) => form[name] !== undefined);
  const [first = '', ...more] = given;
  if (more.length > 0) {
    const message = `a signing key comes from one place; keep ${first} or ${more.join(' or ')}`;
    return [{ field: `${field}/${more[0] ?? ''}`, message }];
  }
  if (given.length === 0 && field === '/keys/next')
    return [{ field, message: `names no key; give one of ${SOURCES.join(', ')}` }];
  if (form.signer === undefined || parsePublicKey(form.signer.public_key) !== null) return [];
  const message = 'is no Ed25519 public key; give it as PEM, or as base64 of its 32 bytes';
  return [{ field: `${field}/signer/public_key`, message }];
}
