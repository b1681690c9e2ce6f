/** `sealtrail evidence`: what an assessor asks for, produced from the running system. */
import { InvalidArgumentError, type Command } from 'commander';
import { loadConfig } from '../agent/config.ts';
import { VERSION } from '../agent/version.ts';
import { REGIMES, type Regime } from '../auditor/evidence/artefacts.ts';
import { artefactsOf, writeEvidence } from '../auditor/evidence/bundle.ts';
import { messageOf } from '../schemas/result.ts';
import { formatFault } from './config-check.ts';
import { gatherEvidence } from './evidence-gathering.ts';
import { BY_HELP, BY_OPTION, defaultBy, ownerAddress, STORE_OPTION } from './store-access.ts';

const EXAMPLES = `
Examples:
  $ sealtrail evidence --regime pci --out evidence-2026-11
  $ sealtrail evidence --regime all --out evidence --config /etc/sealtrail/sealtrail.yaml

Roles and grants, triggers and row-level security, the verifier's report, retention and purges, key history, auditors, who read
the trail, clocks and the configuration with its secrets masked: each with the clauses it is for (docs/COMPLIANCE.md).
Exit codes: 0 all of it in order, 1 written, and something is not in order (it says what), 2 it could not be written.`;

interface EvidenceOptions {
  readonly regime: readonly Regime[];
  readonly out: string;
  readonly config: string;
  readonly store?: string;
  readonly by: string;
}

/** Adds the command. */
export function addEvidenceCommand(program: Command): void {
  program
    .command('evidence')
    .description('produce the artefacts that an assessor asks for')
    .requiredOption('--regime <name>', 'soc2, hipaa, pci, gdpr, or all', parseRegime)
    .requiredOption('-o, --out <dir>', 'folder to write to, new or empty')
    .option('-c, --config <file>', 'configuration file', 'config/sealtrail.yaml')
    .option(STORE_OPTION, 'connection URL of the owner (default: as the configuration says)')
    .option(BY_OPTION, BY_HELP, defaultBy())
    .addHelpText('after', EXAMPLES)
    .action(async (options: EvidenceOptions) => {
      process.exitCode = await run(options);
    });
}

function parseRegime(text: string): readonly Regime[] {
  if (text === 'all') return REGIMES;
  const found = REGIMES.filter((name) => name === text);
  if (found.length > 0) return found;
  throw new InvalidArgumentError(`It is none of ${REGIMES.join(', ')}, all.`);
}

async function run({ regime, out, config: path, store, by }: EvidenceOptions): Promise<number> {
  const loaded = await loadConfig(path, process.env);
  if (!loaded.ok) {
    for (const fault of loaded.error) console.error(formatFault(path, fault));
    return 2;
  }
  const address = ownerAddress(loaded.value, store);
  if (!address.ok) {
    console.error(`evidence: ${address.error}`);
    return 2;
  }
  try {
    const time = new Date().toISOString();
    const artefacts = await gatherEvidence(artefactsOf(regime), {
      config: loaded.value,
      configFile: path,
      address: address.value,
    });
    const written = await writeEvidence(out, {
      version: VERSION,
      time,
      by,
      regimes: regime,
      artefacts,
    });
    if (!written.ok) {
      console.error(`evidence: ${written.error}`);
      return 2;
    }
    for (const fault of written.value) console.log(`NOT IN ORDER  ${fault}`);
    console.log(`${Object.keys(artefacts).length} artefacts in ${out}; begin with index.md`);
    return written.value.length === 0 ? 0 : 1;
  } catch (error) {
    console.error(`evidence: ${messageOf(error)}`);
    return 2;
  }
}
