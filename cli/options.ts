/** What several commands share: where the agent's data is, and how to ask a running agent. */
import { resolve } from 'node:path';
import { join } from 'node:path';
import { request } from 'node:http';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { memberOf, readJson } from '../schemas/untrusted-json.ts';

/** Default of --data-dir. */
export function defaultDataDir(): string {
  return resolve(process.env['SEALTRAIL_DATA_DIR'] || './data');
}

/** Help text of --data-dir, the same everywhere. */
export const DATA_DIR_OPTION = '-d, --data-dir <dir>';
export const DATA_DIR_HELP = "the agent's data directory (default: $SEALTRAIL_DATA_DIR or ./data)";

/** Asks the agent of a data directory over its admin socket; the error is for the person who asked. */
export async function askAgent(
  dataDir: string,
  method: 'GET' | 'POST',
  path: string,
  body?: string,
): Promise<Result<unknown, string>> {
  const text = await askAgentText(dataDir, method, path, body);
  if (!text.ok) return text;
  try {
    const value: unknown = JSON.parse(text.value);
    return ok(value);
  } catch {
    return err(`the agent's answer to ${path} is no JSON`);
  }
}

/** Whether an agent answers for a data directory. */
export async function isAgentThere(dataDir: string): Promise<boolean> {
  try {
    await send(join(dataDir, 'admin.sock'), 'GET', '/healthz');
    return true;
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(codeOf(error))) return false;
    throw error;
  }
}

/** The same, for an answer that is text. */
export async function askAgentText(
  dataDir: string,
  method: 'GET' | 'POST',
  path: string,
  sent?: string,
): Promise<Result<string, string>> {
  const socketPath = join(dataDir, 'admin.sock');
  try {
    const { status, body } = await send(socketPath, method, path, sent);
    if (status === 200) return ok(body);
    return err(faultOf(body) ?? `the agent answered ${status}: ${body.slice(0, 300)}`);
  } catch (error) {
    if (['ENOENT', 'ECONNREFUSED'].includes(codeOf(error)))
      return err(
        `no agent runs on ${dataDir}; start it, or name its data directory with --data-dir`,
      );
    return err(`cannot ask the agent at ${socketPath}: ${messageOf(error)}`);
  }
}

/** What an answer of the admin socket says is wrong (agent/observe/admin-answer.ts); null for any other text. */
function faultOf(body: string): string | null {
  const message = memberOf(memberOf(readJson(body), 'error'), 'message');
  return typeof message === 'string' ? message : null;
}

function send(
  socketPath: string,
  method: string,
  path: string,
  sent?: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((done, fail) => {
    const asked = request(
      { socketPath, method, path, headers: { Host: 'localhost' } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', fail);
        answer.on('end', () =>
          done({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    asked.on('error', fail);
    asked.end(sent);
  });
}
