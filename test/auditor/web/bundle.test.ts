/** The evidence bundle that the page gives away, as `sealtrail web` is configured: signed, and judged elsewhere. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unzipBundle } from '../../../auditor/bundle/unzip.ts';
import { createCertificateKey, readCertificateKey } from '../../../auditor/certificate/key.ts';
import { checkBundle, type BundleCheck } from '../../../auditor/check/bundle.ts';
import { escapeHtml } from '../../../auditor/web/html.ts';
import { createWebServer } from '../../../auditor/web/server.ts';
import { loadWebConfig } from '../../../cli/web-config.ts';
import { createWebPorts } from '../../../cli/web-ports.ts';
import { parseTrust } from '../../../ledger/trust.ts';
import type { Result } from '../../../schemas/result.ts';
import { TEST_SIGNER } from '../../support/checkpoints.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { createVisitor } from '../../support/visitor.ts';
import { NOW_MS, startWebStore, type WebStore } from '../../support/web-store.ts';

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
async function takeBundle(
  more: object,
  ...keys: readonly string[]
): Promise<{ readonly checked: BundleCheck; readonly page: string }> {
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
    const page = await (await visitor.get(answer)).text();
    const taken = await visitor.get(`${answer}/bundle.zip`);
    expect([taken.status, taken.headers.get('content-type')]).toEqual([200, 'application/zip']);
    const files = must(unzipBundle(new Uint8Array(await taken.arrayBuffer())));
    const trust = must(parseTrust([TEST_SIGNER.vkey, ...keys].join('\n')));
    return { checked: checkBundle(files, trust), page };
  } finally {
    await server.stop();
  }
}

test('a bundle of the page is signed with its key, and intact by that and the agent’s', async () => {
  const key = must(await createCertificateKey(file('page.key'), 'page/acme'));
  const { checked } = await takeBundle({ certificate_key_file: 'page.key' }, key.vkey);
  expect(checked).toMatchObject({ verdict: 'intact', signers: [`page/acme+${key.id}`] });
  expect(checked.lines.filter(({ state }) => state !== 'ok')).toEqual([]);
  expect(checked.certificate).toMatchObject({ login: 'alice', rows: { count: 30 } });
});

test('without a key of its own the page makes one beside the agent’s, for its owner alone, and signs with it from then on', async () => {
  await mkdir(file('data/keys'), { recursive: true });
  const [first, again] = [
    await takeBundle({ data_dir: 'data' }),
    await takeBundle({ data_dir: 'data' }),
  ];
  expect((await stat(file('data/keys/page.key'))).mode & 0o777).toBe(0o600);
  const key = must(await readCertificateKey(file('data/keys/page.key')));
  for (const { checked, page } of [first, again]) {
    // Nobody has said that it is to be trusted, and the page says which it is.
    expect(checked.lines).toContainEqual(
      expect.objectContaining({ what: 'certificate', state: 'open' }),
    );
    expect(page).toContain('Evidence bundles are signed by this page');
    expect(page).toContain(escapeHtml(key.vkey));
  }
  const judged = await takeBundle({ data_dir: 'data' }, key.vkey);
  expect(judged.checked).toMatchObject({ verdict: 'intact', signers: [`${key.name}+${key.id}`] });
});

test('where none can be made a bundle is whole, nobody has signed it, and the page says so', async () => {
  const { checked, page } = await takeBundle({ data_dir: 'elsewhere' });
  expect(checked).toMatchObject({ verdict: 'intact', signers: [] });
  expect(checked.lines.filter(({ state }) => state !== 'ok')).toMatchObject([
    { what: 'certificate', state: 'open' },
  ]);
  expect(page).toContain('Evidence bundles are not signed here.');
});

test('a key that cannot be read keeps the page from starting', async () => {
  await expect(takeBundle({ certificate_key_file: 'nowhere.key' })).rejects.toThrow('ENOENT');
  await mkdir(file('broken/keys'), { recursive: true });
  await writeFile(file('broken/keys/page.key'), '');
  await expect(takeBundle({ data_dir: 'broken' })).rejects.toThrow('does not begin with the name');
});
