/**
 * The rules whose retention periods Sealtrail knows. A class of the configuration that names one of
 * them cannot be shorter than it asks for; any other text is a rule of one's own. docs/RETENTION.md.
 */

export interface Regime {
  /** What `regime` of a class begins with. */
  readonly name: string;
  /** How long a record is kept at least; leap days count. */
  readonly days: number;
  /** How long of that it MUST be at hand for analysis; the same as `days` where the rule does not say. */
  readonly hotDays: number;
  readonly source: string;
}

export const REGIMES: readonly Regime[] = [
  { name: 'PCI DSS', days: 366, hotDays: 92, source: 'PCI DSS 4.0.1, requirement 10.5.1' },
  { name: 'HIPAA', days: 2192, hotDays: 2192, source: '45 CFR 164.316(b)(2)(i)' },
  { name: 'SOX', days: 2557, hotDays: 2557, source: '17 CFR 210.2-06' },
];

/** The rule that a class names; undefined where it is none of these. */
export function regimeOf(regime: string): Regime | undefined {
  return REGIMES.find(({ name }) => regime.startsWith(name));
}
