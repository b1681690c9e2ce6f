// Bundles what the auditor's page runs and wears in the browser into auditor/web/generated: page.js, page.css.
import { buildSync } from 'esbuild';

export const WEB_OUT = 'auditor/web/generated';

/** Writes both files. */
export function bundleWebClient() {
  buildSync({
    entryPoints: ['auditor/web/client/page.ts', 'auditor/web/client/page.css'],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: ['es2022'],
    outdir: WEB_OUT,
    logLevel: 'warning',
  });
}

if (process.argv[1]?.endsWith('web-client.mjs')) bundleWebClient();
