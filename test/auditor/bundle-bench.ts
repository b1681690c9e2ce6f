/** Two bundles of one answer, made a day apart, and the store behind them. */
import { join } from 'node:path';
import pg from 'pg';
import { writeBundle, type BundleOptions } from '../../auditor/bundle/write.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { checkBundle, type BundleCheck } from '../../auditor/check/bundle.ts';
import type { BundleFiles } from '../../auditor/check/files.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readFolder } from './bundle-files.ts';
import {
  ASKED,
  COLUMNS,
  createSigner,
  openEvidenceStore,
  readRows,
  STATEMENT,
  trustOf,
  type EvidenceStore,
} from './evidence-store.ts';

export interface BundleBench extends AsyncDisposable {
  readonly store: EvidenceStore;
  /** Signs certificates. */
  readonly auditor: NoteSigner;
  /** Folder of this test's own; the bundles lie in it as `one` and `two`. */
  readonly dir: string;
  readonly whole: BundleFiles;
  readonly whole2: BundleFiles;
  write(path: string, over?: Partial<BundleOptions>): Promise<Certificate>;
  /** By the keys of agent and auditor. */
  check(files: BundleFiles): BundleCheck;
}

/** Opens it. */
export async function openBundleBench(): Promise<BundleBench> {
  const store = await openEvidenceStore();
  const temp = await makeTempDir();
  const auditor = createSigner('auditor/alice');

  async function write(path: string, over: Partial<BundleOptions> = {}): Promise<Certificate> {
    const client = new pg.Client(store.alice);
    await client.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      return await writeBundle({
        ...{ client, path, asked: ASKED, statement: STATEMENT, columns: COLUMNS },
        title: 'What did this actor do?',
        rows: await readRows(client, STATEMENT),
        known: null,
        trust: trustOf(store.signer),
        verifier: 'sealtrail test',
        signer: auditor,
        time: '2026-11-26T12:00:00.000Z',
        ...over,
      });
    } finally {
      await client.end();
    }
  }

  const [one, two] = [join(temp.path, 'one'), join(temp.path, 'two')];
  await write(one);
  await write(two, { time: '2026-11-27T09:00:00.000Z' });
  return {
    ...{ store, auditor, dir: temp.path, write },
    ...{ whole: await readFolder(one), whole2: await readFolder(two) },
    check: (files) => checkBundle(files, trustOf(store.signer, auditor)),
    [Symbol.asyncDispose]: async () => {
      await temp[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
