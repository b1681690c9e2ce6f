/** An Audit with a spool in a folder of the test's own, and what lies in that folder. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterEach, beforeEach, expect } from 'vitest';
import { canonicalize } from '../../schemas/canonical.ts';
import {
  createAudit,
  type Audit,
  type AuditFailure,
  type EventDraft,
  type RecordReceipt,
  type SpooledReceipt,
  type SpoolingAuditOptions,
} from '../../sdk/index.ts';
import { encodeSpoolHeader, encodeSpoolLine } from '../../sdk/spool-format.ts';
import { startAgentPeer, type AgentPeer, type PeerScript } from './agent-peer.ts';
import { makeEvent } from './events.ts';
import { draft, TEST_KEY, TEST_VOCABULARY } from './sdk-fixture.ts';

export type SpoolingAudit = Audit<RecordReceipt | SpooledReceipt>;

/** A draft of a fail-open action. */
export const LOGIN: EventDraft = draft({ action: 'user.login' });

/** Waits for a condition, for as long as a busy machine may need. */
export const whenever = <T>(look: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(look);

export interface Spooling {
  readonly dir: string;
  readonly spoolDir: string;
  readonly socketPath: string;
  /** What the alert hook was told. */
  readonly failures: AuditFailure[];
  /** Called when the test ends, the last one first. */
  readonly closing: (() => Promise<void>)[];
}

/** A new folder for each test. */
export function useSpooling(): Spooling {
  const spooling = { dir: '', spoolDir: '', socketPath: '', failures: [], closing: [] } as {
    -readonly [Name in keyof Spooling]: Spooling[Name];
  };
  beforeEach(() => {
    spooling.dir = mkdtempSync(join(tmpdir(), 'sealtrail-spool-'));
    spooling.spoolDir = join(spooling.dir, 'spool');
    spooling.socketPath = join(spooling.dir, 'agent.sock');
    spooling.failures = [];
    spooling.closing = [];
  });
  afterEach(async () => {
    for (const close of spooling.closing.reverse()) await close();
    rmSync(spooling.dir, { recursive: true, force: true });
  });
  return spooling;
}

/** Opens an Audit that is closed when the test ends; `over` wins. */
export function openAudit(
  { spoolDir, socketPath, failures, closing }: Spooling,
  over: Partial<SpoolingAuditOptions> = {},
): SpoolingAudit {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath,
    timeoutMs: 2000,
    breaker: { forMs: 60_000, coolDownMs: 50 },
    spool: { dir: spoolDir, afterMs: 30 },
    onAuditFailure: (failure) => failures.push(failure),
    ...over,
  });
  closing.push(() => audit.close());
  return audit;
}

/** Starts a peer that is closed when the test ends. */
export async function startPeer(
  { socketPath, closing }: Spooling,
  script: PeerScript = {},
): Promise<AgentPeer> {
  const peer = await startAgentPeer(script, socketPath);
  closing.push(() => peer.close());
  return peer;
}

/** Ids of what the peer has, in its order. */
export const idsOf = (peer: AgentPeer): string[] =>
  peer.appended.map(({ text }) => (JSON.parse(text) as { event_id: string }).event_id);

/** Every spool file below a folder. */
export function spoolFiles(folder: string): string[] {
  return namesBelow(folder)
    .filter((name) => /\/[0-9A-Z]{26}\.ndjson$/.test(`/${name}`))
    .map((name) => join(folder, name))
    .sort();
}

function namesBelow(folder: string): string[] {
  for (;;) {
    try {
      return readdirSync(folder, { recursive: true, encoding: 'utf8' });
    } catch (error) {
      // A folder below was removed while it was listed: it is looked at again.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !existsSync(folder)) throw error;
    }
  }
}

/** What the audit_failure channel says. */
export function channelOf(folder: string): Record<string, unknown>[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('audit_failure-'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export const spoolLine = (event: unknown): Buffer =>
  encodeSpoolLine(Buffer.from(canonicalize(event)));

/** A folder with a spool file of so many events, as a process that is gone left it. */
export function leaveSpool(
  spoolDir: string,
  events: number,
  name: string = ulid(),
): { readonly path: string; readonly bytes: Buffer; readonly ids: string[] } {
  const folder = join(spoolDir, name);
  mkdirSync(folder, { recursive: true });
  const ids = Array.from({ length: events }, () => ulid());
  const lines = ids.map((event_id) => spoolLine(makeEvent({ event_id })));
  const bytes = Buffer.concat([encodeSpoolHeader(ulid()), ...lines]);
  const path = join(folder, `${ulid()}.ndjson`);
  writeFileSync(path, bytes);
  return { path, bytes, ids };
}
