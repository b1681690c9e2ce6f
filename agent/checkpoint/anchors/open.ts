/** The anchors of a configuration. The modules of a kind, and their client, are loaded where it has one. */
import type { NoteVerifier } from '../../../ledger/signing.ts';
import type { AnchorsConfig } from '../../../schemas/anchor-config.ts';
import { err, ok, type Result } from '../../../schemas/result.ts';
import type { Anchor } from './anchor.ts';
import { comparing } from './compare.ts';

/** Creates them all; none is connected to yet. `logKeys`: those that the agent has ever signed this log with. */
export async function openAnchors(
  config: AnchorsConfig,
  { logKeys, nowMs }: { readonly logKeys: readonly NoteVerifier[]; readonly nowMs: () => number },
): Promise<Result<readonly Anchor[], string>> {
  const options = { timeoutMs: config.timeout_ms, nowMs };
  const anchors: Anchor[] = [];
  for (const each of config.witness) {
    const { createWitnessAnchor } = await import('./witness.ts');
    const witness = createWitnessAnchor(each, nowMs);
    if (!witness.ok) return err(`witness ${each.name}: ${witness.error}`);
    anchors.push(comparing(witness.value, logKeys, false));
  }
  for (const each of config.timestamp) {
    const { createTimestampAnchor } = await import('./timestamp.ts');
    anchors.push(createTimestampAnchor(each));
  }
  const recorders: Anchor[] = [];
  for (const each of config.postgresql) {
    const { createPostgresqlAnchor } = await import('./postgresql.ts');
    recorders.push(createPostgresqlAnchor(each, options));
  }
  for (const each of config.object) {
    const { createObjectAnchor } = await import('./object.ts');
    recorders.push(createObjectAnchor(each, options));
  }
  for (const each of config.file) {
    const { createFileAnchor } = await import('./file.ts');
    recorders.push(createFileAnchor(each, nowMs));
  }
  anchors.push(...recorders.map((each) => comparing(each, logKeys, true)));
  return ok(anchors);
}
