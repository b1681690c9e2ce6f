/** What the auditor's page is given: the store by login, the agent's files and status, and the log. */
import { createReadStream, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { AgentStatus } from '../agent/status-ports.ts';
import { createAppLog } from '../agent/observe/log.ts';
import { VERSION } from '../agent/version.ts';
import type { AskError } from '../auditor/answer.ts';
import { createAuditor } from '../auditor/ask.ts';
import { certifyAnswer, exportAnswer } from '../auditor/export.ts';
import type { Login, WebPorts } from '../auditor/web/ports.ts';
import type { Trust } from '../ledger/trust.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { DatabaseAddress } from '../store/connection.ts';
import { embeddedAddress, embeddedHome } from '../store/embedded-address.ts';
import { askAgent, defaultDataDir } from './options.ts';
import { readTrust } from './trust-file.ts';
import type { WebConfig } from './web-config.ts';
import { readPageKey } from './web-key.ts';

/** Puts them together; the error is for whoever starts the page. */
export async function createWebPorts(config: WebConfig): Promise<Result<WebPorts, string>> {
  const { settings, storeUrl, storeTls, trustFile, certificateKeyFile: keyFile } = config;
  const dataDir = config.dataDir ?? defaultDataDir();
  let trust: Trust | null = null;
  if (trustFile !== null) {
    const read = await readTrust(trustFile, undefined);
    if (!read.ok) return err(read.error);
    trust = read.value;
  }
  const key = await readPageKey(keyFile, dataDir);
  if (!key.ok) return key;
  const { signer, reason } = key.value;
  const log = createAppLog({ level: 'info', name: 'web' });
  if (signer === null) log.warn({ reason }, 'bundles are not signed');
  const tls = storeTls === null ? {} : { tls: storeTls };
  const urlOf = (login: Login): DatabaseAddress =>
    storeUrl === null ? embeddedUrlOf(dataDir, login) : withLogin(storeUrl, login);
  const judging = { known: null, trust, verifier: `sealtrail ${VERSION}` };
  return ok({
    settings,
    trust,
    log,
    bundleKey: signer?.vkey ?? null,
    nowMs: Date.now,
    openAuditor: (login) => createAuditor({ url: urlOf(login), ...tls }),
    certify: async (login, asked, work) => {
      const at = { url: urlOf(login), ...tls };
      const auditor = createAuditor(at);
      try {
        return said(await certifyAnswer(auditor, asked, { ...at, ...judging, ...work }));
      } finally {
        auditor.close();
      }
    },
    bundleOf: async (login, asked, work) => {
      const at = { url: urlOf(login), ...tls };
      const auditor = createAuditor(at);
      try {
        return await bundleFile(async (path) =>
          said(
            await exportAnswer(auditor, asked, {
              ...{ ...at, ...judging, ...work, path, signer },
              time: new Date().toISOString(),
            }),
          ),
        );
      } finally {
        auditor.close();
      }
    },
    proofOf: (eventId) => proveFrom(dataDir, eventId),
    health: async () => {
      const status = await askAgent(dataDir, 'GET', '/status');
      // The agent is of this build: its answer has this form.
      return status.ok ? ok(status.value as AgentStatus) : status;
    },
  });
}

/** A connection URL with the login's name and password in place of any others. */
function withLogin(url: string, { user, password }: Login): string {
  const whole = new URL(url);
  whole.username = encodeURIComponent(user);
  whole.password = encodeURIComponent(password);
  return whole.href;
}

function embeddedUrlOf(dataDir: string, login: Login): DatabaseAddress {
  const address = embeddedAddress(embeddedHome(dataDir), 'auditor');
  return async () => withLogin(typeof address === 'string' ? address : await address(), login);
}

/** Makes a bundle in a folder of its own, and gives its bytes; the folder goes when they have been read. */
async function bundleFile(
  make: (path: string) => Promise<Result<unknown, string>>,
): Promise<Result<Readable, string>> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bundle-'));
  const path = join(dir, 'evidence.zip');
  const remove = (): void => rmSync(dir, { recursive: true, force: true });
  try {
    const made = await make(path);
    if (!made.ok) {
      remove();
      return made;
    }
  } catch (error) {
    remove();
    return err(`the bundle cannot be written: ${messageOf(error)}`);
  }
  return ok(createReadStream(path).once('close', remove));
}

function said<T>(result: Result<T, AskError>): Result<T, string> {
  return result.ok ? result : err(result.error.message);
}

async function proveFrom(dataDir: string, eventId: string): Promise<Result<string, string>> {
  const { proveEvent } = await import('../agent/checkpoint/proving.ts');
  try {
    return await proveEvent(dataDir, eventId);
  } catch (error) {
    return err(`the files of the agent cannot be read: ${messageOf(error)}`);
  }
}
