/** A signer command is believed in nothing: what it gives is verified, and what it does not give is loud. */
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { signWithCommand } from '../../agent/signer-command.ts';
import { publicBytesOf, publicKeyOf, verifyBytes } from '../../ledger/signing.ts';
import { eventually } from '../support/eventually.ts';
import { isAlive } from '../support/processes.ts';
import { makeTempDir } from '../support/ledger.ts';
import { writeSigner } from '../support/signer.ts';

const MESSAGE = Buffer.from('sealtrail/a/i/t/standard\n5\nAAAA\n');

test('the command gets the bytes on stdin, and its signature is of the key', async () => {
  await using dir = await makeTempDir();
  const { command, publicKey } = await writeSigner(dir.path);
  const sign = signWithCommand({ command, publicKey, timeoutMs: 30_000 });
  for (const message of [MESSAGE, Buffer.alloc(0), Buffer.alloc(200_000, 7)])
    expect(verifyBytes(publicKeyOf(publicKey), message, await sign(message))).toBe(true);
});

test.concurrent.each([
  ['lies about what it signs', `sign(Buffer.concat([bytes, Buffer.from('x')]))`, 'does not verify'],
  ['signs with another key', `sign(bytes, other)`, 'does not verify'],
  ['prints garbage', `out('garbage')`, 'no base64 of a signature'],
  ['prints nothing', `out('')`, 'no base64 of a signature'],
  ['prints a short signature', `out(Buffer.alloc(63).toString('base64'))`, 'no base64'],
  ['prints base64 in another spelling', `out(sig(bytes).toString('base64url'))`, 'no base64'],
  ['prints without end', `setInterval(() => out('A'.repeat(4096)), 1)`, 'more than a signature'],
  ['dies', `process.kill(process.pid, 'SIGKILL')`, 'SIGKILL'],
  [
    'ends with a code, though it has signed',
    `sign(bytes); process.stderr.write('token\\nexpired'); process.exitCode = 3`,
    'code 3: token expired',
  ],
  ['hangs', `setInterval(() => undefined, 1000)`, 'within 1500 ms'],
])('one that %s gives no signature, and says why', async (_, body, reason) => {
  await using dir = await makeTempDir();
  const { command, publicKey } = await writeSigner(dir.path, body);
  const timeoutMs = reason.includes('1500') ? 1_500 : 30_000;
  const signed = signWithCommand({ command, publicKey, timeoutMs })(MESSAGE);
  await expect(signed).rejects.toThrow(reason);
});

test('one that is not there, or does not read, is told', async () => {
  await using dir = await makeTempDir();
  const publicKey = publicBytesOf(generateKeyPairSync('ed25519').privateKey);
  const ask = (command: readonly string[]): Promise<Uint8Array> =>
    signWithCommand({ command, publicKey, timeoutMs: 30_000 })(Buffer.alloc(1 << 20));
  await expect(ask([join(dir.path, 'none')])).rejects.toThrow('cannot be run');
  await expect(ask(['/bin/true'])).rejects.toThrow('no base64');
  await expect(ask(['/bin/false'])).rejects.toThrow('code 1');
});

test('what a hanging command has started ends with it', async () => {
  await using dir = await makeTempDir();
  const [script, pidFile] = [join(dir.path, 'signer.sh'), join(dir.path, 'pid')];
  await writeFile(script, `sleep 600 & echo $! > ${pidFile}; wait\n`);
  const publicKey = publicBytesOf(generateKeyPairSync('ed25519').privateKey);
  const sign = signWithCommand({ command: ['/bin/sh', script], publicKey, timeoutMs: 1_500 });
  const pid = await eventually(async () => {
    await expect(sign(MESSAGE)).rejects.toThrow('within 1500 ms');
    // On a busy machine it may not have come so far.
    const text = await readFile(pidFile, 'utf8');
    expect(text).toMatch(/^\d+\n$/);
    return Number(text);
  });
  await expect.poll(() => isAlive(pid)).toBe(false);
});
