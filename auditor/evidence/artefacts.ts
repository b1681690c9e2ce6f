/**
 * The artefacts of `sealtrail evidence`, and the clauses that each is evidence for: ids of rows in
 * docs/COMPLIANCE.md, where each says what it is asked for and what is missing. Data alone.
 */

export const REGIMES = ['soc2', 'hipaa', 'pci', 'gdpr'] as const;
export type Regime = (typeof REGIMES)[number];

export interface ArtefactKind {
  readonly file: string;
  /** What it shows, in a sentence. */
  readonly title: string;
  readonly clauses: Readonly<Partial<Record<Regime, readonly string[]>>>;
}

export type ArtefactName =
  | 'privileges'
  | 'guards'
  | 'ledger'
  | 'store'
  | 'retention'
  | 'keys'
  | 'auditors'
  | 'access'
  | 'clock'
  | 'configuration';

export const ARTEFACTS: Readonly<Record<ArtefactName, ArtefactKind>> = {
  privileges: {
    file: 'privileges.json',
    title: 'Roles of the store, what they are members of, and what each may do to which table',
    clauses: {
      soc2: ['CC6.1', 'CC6.3'],
      hipaa: ['164.312(b)'],
      pci: ['10.3.1', '10.3.2'],
      gdpr: ['Art. 5(1)(f)', 'Art. 25', 'Art. 32'],
    },
  },
  guards: {
    file: 'guards.json',
    title: 'Triggers that keep the tables append-only, and row-level security, table by table',
    clauses: {
      soc2: ['CC6.1', 'CC7.1'],
      hipaa: ['164.312(b)'],
      pci: ['10.3.1', '10.3.2', '10.3.4'],
      gdpr: ['Art. 5(1)(f)', 'Art. 25', 'Art. 32'],
    },
  },
  ledger: {
    file: 'verification-ledger.json',
    title: 'The verifier over the ledger: chain, trees, signed checkpoints',
    clauses: {
      soc2: ['CC7.1', 'CC7.2', 'CC7.3'],
      hipaa: ['164.312(b)'],
      pci: ['10.3.4'],
      gdpr: ['Art. 5(1)(f)', 'Art. 32'],
    },
  },
  store: {
    file: 'verification-store.json',
    title: 'The verifier over the store of record: chain, and each column against the sealed event',
    clauses: {
      soc2: ['CC7.1', 'CC7.2', 'CC7.3'],
      hipaa: ['164.312(b)'],
      pci: ['10.3.3', '10.3.4'],
      gdpr: ['Art. 5(1)(f)', 'Art. 17(3)'],
    },
  },
  retention: {
    file: 'retention.json',
    title: 'Retention classes, every version with who set it; purges; legal holds in force',
    clauses: {
      soc2: ['CC7.3'],
      hipaa: ['164.316(b)(2)(i)'],
      pci: ['10.5.1'],
      gdpr: ['Art. 5(1)(e)', 'Art. 17'],
    },
  },
  keys: {
    file: 'keys.json',
    title: 'Signing keys: which may sign what, which was replaced or revoked and why',
    clauses: { soc2: ['CC6.1'], pci: ['10.3.4'], gdpr: ['Art. 32'] },
  },
  auditors: {
    file: 'auditors.json',
    title: 'Who may read the trail, and of which tenants',
    clauses: {
      soc2: ['CC6.1', 'CC6.2', 'CC6.3'],
      hipaa: ['164.312(b)'],
      pci: ['10.3.1'],
      gdpr: ['Art. 5(1)(f)', 'Art. 25'],
    },
  },
  access: {
    file: 'access.json',
    title: 'Who asked what of the trail, and what was refused',
    clauses: {
      soc2: ['CC6.1', 'CC7.2'],
      hipaa: ['164.312(b)'],
      pci: ['10.2.1.3', '10.4.1'],
      gdpr: ['Art. 5(2)', 'Art. 30'],
    },
  },
  clock: {
    file: 'clock.json',
    title: 'The clock of this host beside that of the store, and whether the host is synchronised',
    clauses: { soc2: ['CC7.2'], pci: ['10.6.1', '10.6.2'] },
  },
  configuration: {
    file: 'configuration.json',
    title: 'The configuration, defaults filled in, secrets masked',
    clauses: {
      soc2: ['CC6.6', 'CC7.1'],
      hipaa: ['164.316(b)(2)(iii)'],
      pci: ['10.3.3', '10.7.2'],
      gdpr: ['Art. 25', 'Art. 30'],
    },
  },
};
