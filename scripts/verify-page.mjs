// Builds auditor/generated/verify.html: one page with the verifier in it, which loads nothing. The verifier is the one
// that runs everywhere else; what it needs of Node stands beside the page.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { buildSync } from 'esbuild';

const PAGE = 'auditor/verify-page';
const TARGET = 'auditor/generated/verify.html';

export function buildVerifyPage() {
  const built = buildSync({
    entryPoints: [`${PAGE}/main.ts`],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2023',
    minify: true,
    legalComments: 'none',
    charset: 'ascii',
    alias: { 'node:crypto': `./${PAGE}/node-crypto.ts` },
    inject: [`./${PAGE}/buffer.ts`],
    logLevel: 'warning',
  });
  const script = built.outputFiles[0].text.replaceAll('</script', '<\\/script');
  const style = readFileSync(`${PAGE}/style.css`, 'utf8');
  const digest = (text) => createHash('sha256').update(text).digest('base64');
  const parts = {
    script,
    style,
    'script-digest': digest(script),
    'style-digest': digest(style),
  };
  // A function: in a replacement text `$` would mean something.
  const html = readFileSync(`${PAGE}/page.html`, 'utf8').replace(
    /\{\{([\w-]+)\}\}/g,
    (_, name) => parts[name],
  );
  mkdirSync('auditor/generated', { recursive: true });
  writeFileSync(TARGET, html);
}
