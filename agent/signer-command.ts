/**
 * Signing by a command: what stands between the agent and a key that it must not hold. For each signature the
 * command is run anew, without a shell; it gets the bytes to sign on stdin, and writes the base64 of the 64 bytes of
 * the Ed25519 signature to stdout and ends with code 0. All else is a failure, and so is a signature that the
 * configured public key does not verify: nothing unverified is ever used, and no other key stands in.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { decodeBase64 } from '../ledger/base64.ts';
import { publicKeyOf, verifyBytes, type SignBytes } from '../ledger/signing.ts';
import { codeOf } from '../schemas/result.ts';

export interface SignerCommand {
  readonly command: readonly string[];
  /** The 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly timeoutMs: number;
}

/** 64 bytes are 88 letters; the rest is room for line ends. */
const OUTPUT_BYTES_MAX = 1_024;
const COMPLAINT_LENGTH_MAX = 300;

/** Signs by running the command; rejects with what went wrong, for the operator. */
export function signWithCommand({ command, publicKey, timeoutMs }: SignerCommand): SignBytes {
  const key = publicKeyOf(publicKey);
  return async (message) => {
    const output = await run(command, message, timeoutMs);
    const signature = decodeBase64(output.trim());
    if (signature?.length !== 64)
      throw new Error(`${nameOf(command)} gave no base64 of a signature`);
    if (!verifyBytes(key, message, signature))
      throw new Error(`${nameOf(command)} gave a signature that its public_key does not verify`);
    return signature;
  };
}

function nameOf([program = '']: readonly string[]): string {
  return `the signer ${program}`;
}

function run(command: readonly string[], input: Uint8Array, timeoutMs: number): Promise<string> {
  const [program = '', ...args] = command;
  const name = nameOf(command);
  return new Promise((done, fail) => {
    // A group of its own: what it has started is ended with it.
    const child = spawn(program, args, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let complaint = '';
    const timer = setTimeout(
      () => give(`${name} did not answer within ${timeoutMs} ms`),
      timeoutMs,
    );

    function give(reason: string): void {
      clearTimeout(timer);
      endGroup(child);
      fail(new Error(reason));
    }

    child.on('error', (error) => give(`${name} cannot be run: ${error.message}`));
    // One that does not read what it is to sign shows that by its answer.
    child.stdin.on('error', () => undefined);
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      output += text;
      if (output.length > OUTPUT_BYTES_MAX) give(`${name} wrote more than a signature`);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, COMPLAINT_LENGTH_MAX);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) done(output);
      else {
        const said = complaint.replace(/\p{Cc}+/gu, ' ').trim();
        const end = signal === null ? `code ${code}` : signal;
        fail(new Error(`${name} ended with ${end}${said === '' ? '' : `: ${said}`}`));
      }
    });
    child.stdin.end(input);
  });
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error;
  }
}
