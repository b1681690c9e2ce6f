/**
 * The redaction rules as data: which member names hold what, which words make a name harmless,
 * which prefixes and lengths a card number has. Names are listed as lower-case words joined by
 * `_`; keys.ts compares any spelling (camelCase, dashes, look-alike letters) with them.
 */

/** Version of the rule set; it changes with every rule. */
export const REDACTION_RULES_VERSION = '1.2.0';

/** What a match is called in markers and in `kinds`. */
export const REDACTION_KINDS = [
  'pan',
  'ssn',
  'national_id',
  'iban',
  'email',
  'jwt',
  'private_key',
  'api_key',
  'bearer',
  'secret',
  'cookie',
  'encoded',
  'free_text',
  'personal',
  'overlong',
] as const;

/** One kind of match. */
export type RedactionKind = (typeof REDACTION_KINDS)[number];

/** Names whose member is dropped, wherever these words stand in the name. */
export const SECRET_NAMES: readonly string[] = [
  ...['password', 'passwords', 'passwd', 'passphrase', 'passcode', 'pwd', 'passwort'],
  ...['secret', 'secrets', 'token', 'tokens', 'credential', 'credentials', 'jwt', 'bearer'],
  ...['api_key', 'api_keys', 'apikey', 'access_key', 'secret_key', 'private_key', 'signing_key'],
  ...['encryption_key', 'ssh_key', 'master_key', 'auth_key', 'hmac_key', 'shared_key'],
  ...['cookie', 'cookies', 'set_cookie', 'authorization', 'authorisation', 'auth_header'],
  ...['cvv', 'cvv2', 'cvc', 'cvc2', 'csc', 'cid_code', 'security_code', 'card_verification'],
  ...['pin', 'pin_code', 'pincode', 'otp', 'totp', 'mfa_code', 'otp_code', 'verification_code'],
  ...['recovery_code', 'recovery_codes', 'backup_code', 'backup_codes', 'security_answer'],
  ...['track1', 'track2', 'track_data', 'magstripe', 'pkcs12', 'keystore'],
];

/** Names that hold a person's official number: the value becomes a token. */
export const NATIONAL_ID_NAMES: readonly string[] = [
  ...['ssn', 'ssns', 'social_security', 'social_security_number', 'social_security_no'],
  ...['social_insurance_number', 'national_id', 'national_ids', 'national_identifier'],
  ...['national_id_number', 'national_identity_number', 'national_number'],
  ...['national_insurance_number', 'nino', 'tax_id', 'tax_ids', 'tax_number', 'tax_identifier'],
  ...['taxpayer_id', 'tin', 'itin', 'passport', 'passport_number', 'passport_no', 'passport_id'],
  ...['driver_license', 'drivers_license', 'driver_licence', 'driving_licence', 'driving_license'],
  ...['aadhaar', 'aadhar', 'cpf', 'bsn', 'personnummer', 'codice_fiscale', 'nhs_number'],
  ...['medicare_number', 'identity_number', 'identity_card_number', 'id_card_number'],
];

/** Names that hold a card number: only the last four digits stay. */
export const CARD_NAMES: readonly string[] = [
  ...['card', 'pan', 'card_number', 'card_no', 'card_num', 'cc', 'cc_number', 'cc_num', 'ccnum'],
  ...['credit_card', 'debit_card', 'credit_card_number', 'debit_card_number', 'payment_card'],
  ...['primary_account_number', 'cards'],
];

/** Names inside a card object that hold its number. */
export const CARD_MEMBER_NAMES: readonly string[] = ['number', 'num', 'no', 'value', 'raw', 'full'];

/** Free text in which people write what they should not: structured once something is found. */
export const FREE_TEXT_NAMES: readonly string[] = [
  ...['note', 'notes', 'comment', 'comments', 'description', 'message', 'body', 'remark'],
  ...['remarks', 'free_text', 'freetext', 'feedback', 'bio', 'transcript', 'summary', 'content'],
];

/** Free text that is personal data whatever it says: always structured. */
export const PERSONAL_TEXT_NAMES: readonly string[] = [
  ...['address', 'home_address', 'street_address', 'postal_address', 'mailing_address'],
  ...['billing_address', 'shipping_address', 'residential_address', 'delivery_address'],
  ...['medical_notes', 'clinical_notes', 'patient_notes', 'doctor_notes', 'nurse_notes'],
  ...['diagnosis', 'diagnoses', 'medical_history', 'case_notes', 'counselling_notes'],
];

/** Names that look sensitive and are not: pseudonyms the product itself writes. */
export const HARMLESS_NAMES: readonly string[] = ['subject_token', 'subject_tokens'];

/** A name that ends in one of these speaks about the secret and does not hold it. */
export const HARMLESS_LAST_WORDS: readonly string[] = [
  ...['count', 'counts', 'size', 'length', 'type', 'types', 'name', 'names', 'id', 'ids', 'at'],
  ...['expiry', 'expires', 'expiration', 'expired', 'ttl', 'age', 'status', 'state', 'present'],
  ...['changed', 'rotated', 'reset', 'policy', 'strength', 'attempts', 'retries', 'required'],
  ...['enabled', 'disabled', 'valid', 'verified', 'version', 'algorithm', 'alg', 'last4'],
  ...['brand', 'country', 'issuer', 'network', 'scheme', 'method', 'consent', 'scope', 'scopes'],
  ...['used', 'limit', 'budget', 'total', 'usage', 'url', 'uri', 'endpoint', 'event', 'action'],
  ...['holder', 'month', 'year', 'provider', 'fingerprint', 'prefix', 'date', 'time', 'ms', 'min'],
  ...['max', 'matches', 'check', 'result', 'reason', 'mode', 'source', 'location'],
];

/** Words that mark a secret even when the name is written without any break (`userpassword`). */
export const SECRET_AFFIXES: readonly string[] = [
  ...['password', 'passwd', 'passphrase', 'apikey', 'accesstoken', 'refreshtoken', 'idtoken'],
  ...['authtoken', 'sessiontoken', 'privatekey', 'clientsecret', 'secretkey'],
];

/** Card numbers by issuer: prefixes as inclusive ranges of equal length, and the lengths in use. */
export interface CardBrand {
  readonly brand: string;
  readonly prefixes: readonly (readonly [number, number])[];
  readonly lengths: readonly number[];
}

/** Issuer prefixes in use (ISO/IEC 7812). A prefix outside the table is no card. */
export const CARD_BRANDS: readonly CardBrand[] = [
  { brand: 'visa', prefixes: [[4, 4]], lengths: [13, 16, 19] },
  {
    brand: 'mastercard',
    prefixes: [
      [51, 55],
      [2221, 2720],
    ],
    lengths: [16],
  },
  {
    brand: 'amex',
    prefixes: [
      [34, 34],
      [37, 37],
    ],
    lengths: [15],
  },
  {
    brand: 'diners',
    prefixes: [
      [300, 305],
      [36, 36],
      [38, 39],
    ],
    lengths: [14, 15, 16, 17, 18, 19],
  },
  {
    brand: 'discover',
    prefixes: [
      [6011, 6011],
      [644, 649],
      [65, 65],
    ],
    lengths: [16, 17, 18, 19],
  },
  { brand: 'jcb', prefixes: [[3528, 3589]], lengths: [16, 17, 18, 19] },
  {
    brand: 'unionpay',
    prefixes: [
      [62, 62],
      [81, 81],
    ],
    lengths: [16, 17, 18, 19],
  },
  {
    brand: 'maestro',
    prefixes: [
      [5018, 5020],
      [5038, 5038],
      [5893, 5893],
      [6304, 6304],
      [6759, 6759],
      [6761, 6763],
    ],
    lengths: [12, 13, 14, 15, 16, 17, 18, 19],
  },
  {
    brand: 'rupay',
    prefixes: [
      [60, 60],
      [508, 508],
      [82, 82],
    ],
    lengths: [16],
  },
  {
    brand: 'verve',
    prefixes: [
      [5060, 5061],
      [6500, 6500],
    ],
    lengths: [16, 18, 19],
  },
  {
    brand: 'elo',
    prefixes: [
      [5067, 5067],
      [509, 509],
    ],
    lengths: [16],
  },
  { brand: 'troy', prefixes: [[9792, 9792]], lengths: [16] },
  { brand: 'mir', prefixes: [[2200, 2204]], lengths: [16, 17, 18, 19] },
];

/** Characters in an IBAN, by country (SWIFT IBAN registry). */
export const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 ' +
    'EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 ' +
    'IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 ' +
    'NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 ' +
    'TL23 TN24 TR26 UA29 VA22 VG24 XK20'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);
