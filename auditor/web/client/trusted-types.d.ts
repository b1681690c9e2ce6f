/** The part of Trusted Types (W3C) that the script uses; TypeScript's DOM library lacks it. */
interface TrustedTypePolicy {
  createHTML(markup: string): string;
}
interface TrustedTypePolicyFactory {
  createPolicy(name: string, rules: { createHTML(markup: string): string }): TrustedTypePolicy;
}
/** Undefined in browsers without them. */
declare var trustedTypes: TrustedTypePolicyFactory | undefined;
