/** An external signer: a program that holds a key which the agent never sees. */
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { publicBytesOf } from '../../ledger/signing.ts';

export interface TestSigner {
  readonly command: readonly string[];
  readonly publicKey: Uint8Array;
}

/** Writes the program; `body` is what it does with `bytes`, once it has read them. */
export async function writeSigner(dir: string, body = 'sign(bytes)'): Promise<TestSigner> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const script = join(dir, `signer-${randomUUID()}.mjs`);
  await writeFile(
    script,
    `import * as crypto from 'node:crypto';
     const own = crypto.createPrivateKey(${JSON.stringify(pem)});
     const other = crypto.generateKeyPairSync('ed25519').privateKey;
     const out = (text) => process.stdout.write(text);
     const sig = (bytes, key = own) => crypto.sign(null, bytes, key);
     const sign = (bytes, key) => out(sig(bytes, key).toString('base64') + '\\n');
     const chunks = [];
     for await (const chunk of process.stdin) chunks.push(chunk);
     const bytes = Buffer.concat(chunks);
     ${body};\n`,
  );
  return { command: [process.execPath, script], publicKey: publicBytesOf(privateKey) };
}
