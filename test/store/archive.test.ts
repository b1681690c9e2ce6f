/**
 * The archive against a real S3 server with Object Lock: what is locked stays, what was put is found again, and
 * a store comes back from it alone. The server takes 12 s to start: once for all of it.
 */
import { afterAll, beforeAll } from 'vitest';
import { testWhere } from '../support/host.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { hasS3, startS3, type TestS3 } from '../support/s3.ts';
import { testLocking } from './archive/locking.ts';
import { testPutting } from './archive/putting.ts';
import { testRestoring } from './archive/restoring.ts';

const test = testWhere(hasS3, 'the archive needs radosgw, ceph-mon and ceph-osd');

let s3: TestS3;
let postgres: TestPostgres;
beforeAll(async () => {
  if (!hasS3) return;
  [s3, postgres] = await Promise.all([startS3(), startPostgres()]);
});
afterAll(async () => {
  if (!hasS3) return;
  await Promise.all([s3[Symbol.asyncDispose](), postgres.stop()]);
});

testLocking(test, () => s3);
testPutting(test, () => s3);
testRestoring(
  test,
  () => s3,
  () => postgres,
);
