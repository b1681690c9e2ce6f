/** The rounds of an agent, out of its configuration; null where it has no anchors. */
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { parseVkey, type NoteVerifier } from '../../../ledger/signing.ts';
import type { AnchorsConfig } from '../../../schemas/anchor-config.ts';
import { createEvidenceFile } from './evidence-file.ts';
import { openAnchors } from './open.ts';
import { createRounds, type Rounds, type RoundsOptions } from './rounds.ts';

export interface BeginOptions extends Pick<
  RoundsOptions,
  'clock' | 'log' | 'heard' | 'onConflict' | 'onFailed'
> {
  readonly config: AnchorsConfig;
  /** Keys that this agent signs with, and has signed with; they may become more. */
  readonly logKeys: readonly NoteVerifier[];
  /** Folder of the checkpoints; exists. */
  readonly dir: string;
}

/** Begins them; rejects with what is wrong with the configuration. */
export async function beginRounds(options: BeginOptions): Promise<Rounds | null> {
  const { config, dir, clock } = options;
  const anchors = await openAnchors(config, {
    logKeys: options.logKeys,
    nowMs: () => clock.nowMs(),
  });
  if (!anchors.ok) throw new Error(anchors.error);
  if (anchors.value.length === 0) return null;
  return createRounds({
    ...options,
    anchors: anchors.value,
    evidence: createEvidenceFile(nodeFilesystem, dir),
    random: Math.random,
  });
}

/** Keys that this agent wrote itself. */
export function parseKeys(vkeys: readonly string[]): readonly NoteVerifier[] {
  return vkeys.map((vkey) => {
    const key = parseVkey(vkey);
    if (!key.ok) throw new Error(key.error);
    return key.value;
  });
}
