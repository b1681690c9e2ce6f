/**
 * A witness, for the host of a second administrator: a folder of its own, a key of its own, and the keys of the
 * logs that it watches. It knows nothing of events. Wired here; what it does is in witness/.
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import {
  createWitnessSigner,
  isKeyName,
  parseVkey,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../ledger/signing.ts';
import { parseTrust, type Trust } from '../ledger/trust.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { isLoopback, parseEndpoint } from './endpoint.ts';
import { lockDataDir } from './lock.ts';
import type { Logger } from './ports.ts';
import { createCosigning } from './witness/cosigning.ts';
import { createWitnessServer } from './witness/server.ts';

/** What an answer under way gets at a stop. */
const STOP_MS = 1_000;

export interface WitnessOptions {
  readonly dataDir: string;
  /** host:port; beyond loopback with `tls`. */
  readonly listen: string;
  /** File with the keys of the logs, as `sealtrail keys list` prints them; read at each request. */
  readonly trustFile: string;
  /** Name of its key, for the first start; later it MUST be the same. */
  readonly name: string;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  readonly log: Logger;
}

export interface RunningWitness {
  readonly url: string;
  /** Its public key as text, for those who configure it as an anchor, and for check policies. */
  readonly vkey: string;
  stop(): Promise<void>;
}

/** Starts a witness; after an error nothing is left running. */
export async function startWitness(
  options: WitnessOptions,
): Promise<Result<RunningWitness, string>> {
  const { dataDir, trustFile, log } = options;
  const endpoint = parseEndpoint(options.listen);
  if (endpoint === null) return err(`--listen must be host:port, such as 127.0.0.1:8700`);
  if (!isLoopback(endpoint.host) && options.tls === undefined)
    return err(
      `${options.listen} can be reached from other hosts: give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that speaks TLS. Who changes an answer on its way makes agents leave their logs`,
    );
  await nodeFilesystem.makeDir(dataDir);
  const lock = await lockDataDir(dataDir, (reason) => {
    // Another process may cosign from this folder now: two memories are none.
    log.error({ reason }, 'the lock of the data directory was lost; the witness ends');
    process.exit(1);
  });
  if (!lock.ok) return err(lock.error.message);
  try {
    const trust = await readTrust(trustFile);
    if (!trust.ok) return await fail(trust.error);
    const signer = await loadSigner(dataDir, options.name);
    if (!signer.ok) return await fail(signer.error);
    const logs = join(dataDir, 'logs');
    await nodeFilesystem.makeDir(logs);
    const server = createWitnessServer({
      cosigning: createCosigning({ dir: logs, filesystem: nodeFilesystem, signer: signer.value }),
      readTrust: () => readTrust(trustFile),
      ...(options.tls && {
        tls: {
          cert: await readFile(options.tls.certFile),
          key: await readFile(options.tls.keyFile),
        },
      }),
      log,
    });
    await new Promise<void>((done, failed) => {
      server.once('error', failed);
      server.listen(endpoint.port, endpoint.host, done);
    });
    const { port } = server.address() as AddressInfo;
    const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
    return ok({
      url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
      vkey: signer.value.vkey,
      stop: async () => {
        // Idle connections end at once, an answer under way first.
        const closed = new Promise<void>((done) => server.close(() => done()));
        server.closeIdleConnections();
        // Not for whoever sends a byte now and then: what was cosigned is stored, answered or not.
        const giveUp = setTimeout(() => server.closeAllConnections(), STOP_MS);
        await closed;
        clearTimeout(giveUp);
        await lock.value.release();
      },
    });
  } catch (error) {
    return fail(messageOf(error));
  }

  async function fail(reason: string): Promise<Result<never, string>> {
    if (lock.ok) await lock.value.release();
    return err(reason);
  }
}

async function readTrust(path: string): Promise<Result<Trust, string>> {
  try {
    const trust = parseTrust(await readFile(path, 'utf8'));
    return trust.ok ? trust : err(`${path}: ${trust.error}`);
  } catch (error) {
    return err(messageOf(error));
  }
}

/** The witness's key, made at the first start. Its name is a part of its id, so it is kept beside it. */
async function loadSigner(dir: string, name: string): Promise<Result<NoteSigner, string>> {
  if (!isKeyName(name)) return err(`--name: a key's name has no spaces and no plus sign`);
  const [keyPath, vkeyPath] = [join(dir, 'witness.key'), join(dir, 'witness.vkey')];
  if (!(await nodeFilesystem.exists(keyPath))) {
    // Beside cosigned logs a missing key is a loss, not a first start.
    if (await nodeFilesystem.exists(vkeyPath)) return err(`${keyPath} is missing`);
    const { privateKey } = generateKeyPairSync('ed25519');
    await nodeFilesystem.replace(keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  }
  const key = createPrivateKey(await readFile(keyPath, 'utf8'));
  if (key.asymmetricKeyType !== 'ed25519') return err(`${keyPath} holds no Ed25519 key`);
  const nowSeconds = (): bigint => BigInt(Math.floor(Date.now() / 1000));
  const signer = createWitnessSigner(name, publicBytesOf(key), signWithKey(key), nowSeconds);
  if (!(await nodeFilesystem.exists(vkeyPath)))
    await nodeFilesystem.replace(vkeyPath, `${signer.vkey}\n`);
  const vkey = (await readFile(vkeyPath, 'utf8')).trim();
  if (vkey === signer.vkey) return ok(signer);
  const known = parseVkey(vkey);
  return err(
    `this witness is named ${known.ok ? known.value.name : vkey}, not ${name}; with another name it is another one`,
  );
}
