/** The anchors of a configuration. */
import type { NoteVerifier } from '../../../ledger/signing.ts';
import type { AnchorsConfig } from '../../../schemas/anchor-config.ts';
import { err, ok, type Result } from '../../../schemas/result.ts';
import type { Anchor } from './anchor.ts';
import { comparing } from './compare.ts';
import { createFileAnchor } from './file.ts';
import { createObjectAnchor } from './object.ts';
import { createPostgresqlAnchor } from './postgresql.ts';
import { createWitnessAnchor } from './witness.ts';

/** Creates them all; none is connected to yet. `logKeys`: those that the agent has ever signed this log with. */
export async function openAnchors(
  config: AnchorsConfig,
  { logKeys, nowMs }: { readonly logKeys: readonly NoteVerifier[]; readonly nowMs: () => number },
): Promise<Result<readonly Anchor[], string>> {
  const anchors: Anchor[] = [];
  for (const each of config.witness) {
    const witness = createWitnessAnchor(each, nowMs);
    if (!witness.ok) return err(`witness ${each.name}: ${witness.error}`);
    anchors.push(comparing(witness.value, logKeys, false));
  }
  if (config.timestamp.length > 0) {
    // A megabyte of code that nobody else needs.
    const { createTimestampAnchor } = await import('./timestamp.ts');
    anchors.push(...config.timestamp.map((each) => createTimestampAnchor(each)));
  }
  const recorders = [
    ...config.postgresql.map((each) =>
      createPostgresqlAnchor(each, { timeoutMs: config.timeout_ms, nowMs }),
    ),
    ...config.object.map((each) =>
      createObjectAnchor(each, { timeoutMs: config.timeout_ms, nowMs }),
    ),
    ...config.file.map((each) => createFileAnchor(each, nowMs)),
  ];
  anchors.push(...recorders.map((each) => comparing(each, logKeys, true)));
  return ok(anchors);
}
