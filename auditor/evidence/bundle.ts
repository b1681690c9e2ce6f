/** Writes what was gathered: a file an artefact, an index that names the clauses, and the sums of them all. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../../schemas/result.ts';
import { ARTEFACTS, type ArtefactName, type Regime } from './artefacts.ts';

/** One artefact: what it found, or why it could not be produced. */
export interface Artefact {
  readonly content: unknown;
  /** What is not as it should be; empty: in order. */
  readonly faults: readonly string[];
}

export interface Evidence {
  readonly version: string;
  readonly time: string;
  readonly by: string;
  readonly regimes: readonly Regime[];
  readonly artefacts: Readonly<Partial<Record<ArtefactName, Artefact>>>;
}

interface Entry {
  readonly file: string;
  readonly title: string;
  readonly clauses: Readonly<Partial<Record<Regime, readonly string[]>>>;
  readonly sha256: string;
  readonly faults: readonly string[];
}

/** Artefacts that are evidence for one of these regimes. */
export function artefactsOf(regimes: readonly Regime[]): readonly ArtefactName[] {
  const names = Object.keys(ARTEFACTS) as ArtefactName[];
  return names.filter((name) => regimes.some((regime) => regime in ARTEFACTS[name].clauses));
}

/** Writes into a folder that is new or empty; resolves with the faults of all of them. */
export async function writeEvidence(
  dir: string,
  evidence: Evidence,
): Promise<Result<readonly string[], string>> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  if ((await readdir(dir)).length > 0) return err(`${dir} is not empty: evidence is never mixed`);
  const files: [name: string, text: string][] = [];
  const entries: Entry[] = [];
  for (const name of artefactsOf(evidence.regimes)) {
    const { file, title, clauses } = ARTEFACTS[name];
    const artefact = evidence.artefacts[name];
    const { content, faults } = artefact ?? { content: null, faults: ['it was not produced'] };
    const text = `${JSON.stringify(content, null, 2)}\n`;
    files.push([file, text]);
    const asked = Object.fromEntries(
      Object.entries(clauses).filter(([regime]) => evidence.regimes.includes(regime as Regime)),
    );
    entries.push({ file, title, clauses: asked, sha256: sha256(text), faults });
  }
  const { version, time, by, regimes } = evidence;
  const index = { sealtrail: version, time, by, regimes, artefacts: entries };
  files.push(
    ['index.json', `${JSON.stringify(index, null, 2)}\n`],
    ['index.md', inWords(evidence, entries)],
  );
  files.push(['SHA256SUMS', files.map(([name, text]) => `${sha256(text)}  ${name}\n`).join('')]);
  for (const [name, text] of files)
    await writeFile(join(dir, name), text, { mode: 0o600, flag: 'wx' });
  return ok(entries.flatMap(({ file, faults }) => faults.map((fault) => `${file}: ${fault}`)));
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function inWords({ version, time, by, regimes }: Evidence, entries: readonly Entry[]): string {
  const rows = entries.map(({ file, title, clauses, sha256: sum, faults }) => {
    const named = Object.entries(clauses).map(([regime, ids]) => `${regime}: ${ids.join(', ')}`);
    const state = faults.length === 0 ? 'in order' : faults.join('; ').replaceAll('|', '/');
    return `| [${file}](${file}) | ${title} | ${named.join('; ')} | ${state} | \`${sum.slice(0, 16)}…\` |`;
  });
  return `# Evidence of an audit trail

Produced ${time} by ${by}, with Sealtrail ${version}, for: ${regimes.join(', ')}. What each clause asks for, which control meets it and what is
missing is in docs/COMPLIANCE.md of that version. \`sha256sum -c SHA256SUMS\` says whether these files are as they were written; whoever wrote
them could have written others, so take them from the system yourself, or have somebody do it who does not run it.

| file | shows | clauses | state | SHA-256 |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}
