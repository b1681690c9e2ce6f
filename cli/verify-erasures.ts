/** What `verify --store --vault` adds: whether the vault and the store agree on who was erased. */
import type { Verification } from '../ledger/verify.ts';
import { ok } from '../schemas/result.ts';
import { checkErasures } from '../store/vault/erasure-check.ts';
import { withStore } from './store-access.ts';
import { withVault } from './vault-options.ts';

/** The verification of a store, and what its erasures have against it. */
export async function withErasures(
  found: Verification,
  store: string,
  vault: string,
): Promise<Verification> {
  // The store was just read: what fails within is the vault's.
  const checked = await withStore(store, (client) =>
    withVault(vault, async (asked) => ok(await checkErasures(client, asked, new Date()))),
  );
  if (!checked.ok) {
    const verdict = found.verdict === 'intact' ? 'cannot_tell' : found.verdict;
    return { ...found, verdict, notes: [...found.notes, checked.error] };
  }
  const { findings, notes } = checked.value;
  return {
    ...found,
    verdict: findings.length > 0 ? 'broken' : found.verdict,
    findings: [...found.findings, ...findings],
    findings_total: found.findings_total + findings.length,
    notes: [...found.notes, ...notes],
  };
}
