/**
 * `npm run bench -- verify`: a ledger verified by one thread and by one a core, the chain alone and with trees up to a
 * checkpoint, beside what the same bytes cost when they are only hashed (sha256sum) and only parsed (JSON.parse).
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyLedger } from '../ledger/verify.ts';
import type { Known } from '../ledger/verify/known.ts';
import { fillLedger } from './sealed-ledger.ts';

export interface VerifyRow {
  readonly what: string;
  readonly mb_s: number;
  readonly records_s: number;
  /** Beside sha256sum over the same files. */
  readonly ratio: number;
}

const RECORDS = 600_000;
const ROUNDS = 3;

/** Measures; the best of three rounds counts, since others use the machine too. */
export async function runVerify(say: (line: string) => void): Promise<readonly VerifyRow[]> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  try {
    const records = await fillLedger(dir, RECORDS);
    const paths = (await readdir(dir)).filter((name) => name.endsWith('.ndjson')).sort();
    const files = paths.map((name) => join(dir, name));
    let bytes = 0;
    const rows: VerifyRow[] = [];
    let hashing = 0;
    const measure = async (what: string, run: () => Promise<void> | void): Promise<void> => {
      let best = Infinity;
      for (let round = 0; round < ROUNDS; round++) {
        const begun = performance.now();
        await run();
        best = Math.min(best, (performance.now() - begun) / 1000);
      }
      hashing ||= best;
      const row = {
        what,
        mb_s: Math.round(bytes / best / 1e6),
        records_s: Math.round(records / best),
        ratio: Number((hashing / best).toFixed(2)),
      };
      rows.push(row);
      say(`${what.padEnd(44)} ${row.mb_s} MB/s  ${row.records_s} records/s  ${row.ratio}`);
    };
    for (const file of files) bytes += (await readFile(file)).length;
    await measure('sha256sum, one core', () => {
      spawnSync('sha256sum', files);
    });
    await measure('JSON.parse of every line, one core', async () => {
      for (const file of files)
        for (const line of (await readFile(file, 'utf8')).split('\n'))
          if (line !== '') JSON.parse(line);
    });
    const threads = availableParallelism();
    const check = async (options: Parameters<typeof verifyLedger>[1]): Promise<void> => {
      const { verdict } = await verifyLedger(dir, options);
      if (verdict !== 'intact') throw new Error(`the ledger of the benchmark is ${verdict}`);
    };
    await measure('verify, this thread', () => check({ threads: 0 }));
    await measure(`verify, ${threads} threads`, () => check({ threads }));
    await measure(`verify with trees, ${threads} threads`, () =>
      check({ threads, known: nothingKnown }),
    );
    return rows;
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** No checkpoint, and yet trees. */
const nothingKnown: Known = {
  streams: new Map(),
  isJudged: false,
  isAnchorAsked: false,
  findings: [],
  notes: [],
  judge: () => null,
  readBase: () => Promise.resolve(null),
};
