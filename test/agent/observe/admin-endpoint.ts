/** The admin endpoint over an agent that says what a test wants, and requests through either of its doors. */
import { mkdtemp, rm } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import {
  createAdminServer,
  type AdminOptions,
  type AdminServer,
} from '../../../agent/observe/admin.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createTap } from '../../../agent/observe/tap.ts';
import type { DeadLetter } from '../../../agent/ports.ts';
import type { AgentStatus } from '../../../agent/status-ports.ts';
import { agentStatus, createKeptLog } from './support.ts';

/** The one dead letter that there is. */
export const LETTER: DeadLetter = {
  at: '2026-03-01T09:00:00.000Z',
  sink: 'postgresql',
  number: 12,
  stream: 's',
  seq: 4,
  event_id: '01J00000000000000000000000',
  reason: 'mapper_parsing_exception',
  attempts: 1,
};

const RELOADED = { ok: true, faults: [], applied: ['tenants'], needs_restart: [] };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface AdminEndpoint {
  readonly dir: string;
  readonly socketPath: string;
  readonly port: number;
  /** What the agent says of itself. */
  status: AgentStatus;
  /** The one that listens; closed when the test ends. */
  admin: AdminServer;
  readonly log: ReturnType<typeof createKeptLog>;
  /** What was asked of the dead letters. */
  readonly asked: (readonly [string, string | undefined, number?])[];
  /** Another one on the same socket, not listening yet; `changes` win. */
  readonly createAdmin: (changes?: Partial<AdminOptions>) => AdminServer;
  readonly overTcp: (path: string, options?: Asked) => Promise<Answer>;
  readonly overSocket: (path: string, options?: Asked) => Promise<Answer>;
}

/** A new folder and a new endpoint for each test. */
export function useAdmin(): AdminEndpoint {
  const log = createKeptLog();
  const asked: AdminEndpoint['asked'] = [];

  const createAdmin = (changes: Partial<AdminOptions> = {}): AdminServer =>
    createAdminServer({
      endpoint: '127.0.0.1:0',
      socketPath: served.socketPath,
      status: () => served.status,
      metrics: createMetrics({ status: () => served.status }),
      deadLetters: {
        list: (sink, limit) => {
          asked.push(['list', sink, limit ?? -1]);
          return Promise.resolve([LETTER]);
        },
        retry: (sink) => {
          asked.push(['retry', sink]);
          return Promise.resolve({ delivered: 1, remaining: 0 });
        },
      },
      reload: { run: () => Promise.resolve(RELOADED), preview: () => Promise.resolve(RELOADED) },
      operations: () => Promise.resolve({ ok: false, error: 'none' }),
      keys: new Map(),
      tap: createTap({ ledgerDir: served.dir, durable: () => 0, cursor: () => null }),
      log,
      ...changes,
    });

  const served = {
    ...{ dir: '', socketPath: '', port: 0, log, asked, createAdmin },
    overTcp: (path, options = {}) => ask(path, options, { host: '127.0.0.1', port: served.port }),
    overSocket: (path, options = {}) => ask(path, options, { socketPath: served.socketPath }),
  } as { -readonly [Name in keyof AdminEndpoint]: AdminEndpoint[Name] };

  beforeEach(async () => {
    served.dir = await mkdtemp(join(tmpdir(), 'sealtrail-admin-'));
    served.socketPath = join(served.dir, 'admin.sock');
    served.status = agentStatus();
    asked.length = 0;
    log.lines.length = 0;
    served.admin = createAdmin();
    const listening = await served.admin.listen();
    if (!listening.ok) throw new Error(listening.error.message);
    served.port = listening.value.port;
  });

  afterEach(async () => {
    await served.admin.close();
    await rm(served.dir, { recursive: true });
  });

  return served;
}

function ask(
  path: string,
  { method = 'GET', headers = {} }: Asked,
  where: object,
): Promise<Answer> {
  return new Promise((done, fail) => {
    const sent = request({ ...where, path, method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () =>
        done({ status: answer.statusCode ?? 0, headers: answer.headers, text }),
      );
      answer.on('error', fail);
    });
    sent.on('error', fail);
    sent.end();
  });
}

/** Of the fault in an answer. */
export const kindOf = ({ text }: Answer): string => JSON.parse(text).error.kind;
