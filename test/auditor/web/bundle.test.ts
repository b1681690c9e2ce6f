/** The evidence bundle that the page gives away, as `sealtrail web` is configured: signed, and judged elsewhere. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unzipBundle } from '../../../auditor/bundle/unzip.ts';
import { createCertificateKey } from '../../../auditor/certificate/key.ts';
import { checkBundle, type BundleCheck } from '../../../auditor/check/bundle.ts';
import { createWebServer } from '../../../auditor/web/server.ts';
import { loadWebConfig } from '../../../cli/web-config.ts';
import { createWebPorts } from '../../../cli/web-ports.ts';
import { parseTrust } from '../../../ledger/trust.ts';
import type { Result } from '../../../schemas/result.ts';
import { TEST_SIGNER } from '../../support/checkpoints.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { createVisitor, NOW_MS, startWebStore, type WebStore } from '../../support/web.ts';

let store: WebStore;
let temp: Awaited<ReturnType<typeof makeTempDir>>;
const file = (name: string): string => join(temp.path, name);

beforeAll(async () => {
  [store, temp] = await Promise.all([startWebStore(30), makeTempDir()]);
  await writeFile(file('keys.txt'), `${TEST_SIGNER.vkey}\n`);
});
afterAll(async () => {
  await store.stop();
  await temp[Symbol.asyncDispose]();
});

function must<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** Starts the page with this much more configuration, takes a bundle from it as alice, and judges it by these keys. */
async function takeBundle(more: object, ...keys: readonly string[]): Promise<BundleCheck> {
  const url = new URL(store.server.url('auditor'));
  [url.username, url.password] = ['', ''];
  const form = { listen: '127.0.0.1:0', store: { url: url.href }, trust_file: 'keys.txt', ...more };
  await writeFile(file('web.yaml'), JSON.stringify(form));
  const config = must(await loadWebConfig(file('web.yaml'), {}, {}));
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const ports = { ...must(await createWebPorts(config)), nowMs: () => NOW_MS, log };
  const server = await createWebServer(ports);
  try {
    const visitor = createVisitor(await server.listen(config.listen));
    await visitor.signIn('alice');
    const answer = await visitor.ask('all-activity');
    const taken = await visitor.get(`${answer}/bundle.zip`);
    expect([taken.status, taken.headers.get('content-type')]).toEqual([200, 'application/zip']);
    const files = must(unzipBundle(new Uint8Array(await taken.arrayBuffer())));
    return checkBundle(files, must(parseTrust([TEST_SIGNER.vkey, ...keys].join('\n'))));
  } finally {
    await server.stop();
  }
}

test('a bundle of the page is signed with its key, and intact by that and the agent’s', async () => {
  const key = must(await createCertificateKey(file('page.key'), 'page/acme'));
  const checked = await takeBundle({ certificate_key_file: 'page.key' }, key.vkey);
  expect(checked).toMatchObject({ verdict: 'intact', signers: [`page/acme+${key.id}`] });
  expect(checked.lines.filter(({ state }) => state !== 'ok')).toEqual([]);
  expect(checked.certificate).toMatchObject({ login: 'alice', rows: { count: 30 } });
});

test('without a key it is whole, and nobody has signed it', async () => {
  const checked = await takeBundle({});
  expect(checked).toMatchObject({ verdict: 'intact', signers: [] });
  expect(checked.lines.filter(({ state }) => state !== 'ok')).toMatchObject([
    { what: 'certificate', state: 'open' },
  ]);
});

test('a key that cannot be read keeps the page from starting', async () => {
  await expect(takeBundle({ certificate_key_file: 'nowhere.key' })).rejects.toThrow('ENOENT');
});
