/**
 * The S3 client of an archive: loaded with its first use, since most agents have none. One try a request and a
 * limit for all of it: who calls decides what goes again. What the server says is told by name, with the remedy.
 */
import { Agent } from 'node:https';
import type * as Sdk from '@aws-sdk/client-s3';
import type { ArchiveAddress } from '../../schemas/archive-config.ts';
import { codeOf, messageOf } from '../../schemas/result.ts';
import { readTls } from '../tls-files.ts';

export type S3Module = typeof Sdk;

/** A command, run with the archive's bucket, within the time limit. */
export interface ArchiveClient {
  readonly address: ArchiveAddress;
  /** Rejects with ArchiveError. */
  run<T>(
    work: (s3: S3Module, client: Sdk.S3Client, options: SendOptions) => Promise<T>,
  ): Promise<T>;
  close(): void;
}

export interface SendOptions {
  readonly abortSignal: AbortSignal;
}

/** What a server or the way to it had against a request. */
export class ArchiveError extends Error {
  /** S3's own name of the error, or a system's code. */
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, message: string) {
    // Without its cause: the SDK's errors hold requests, and with them what is signed and sent.
    super(message);
    this.name = 'ArchiveError';
    this.code = code;
    this.status = status;
  }
}

const CONNECT_MS_MAX = 10_000;

/** Creates a client; nothing is loaded or connected before the first command. */
export function createArchiveClient(
  address: ArchiveAddress,
  options: { readonly timeoutMs: number; readonly signal?: () => AbortSignal },
): ArchiveClient {
  const { timeoutMs } = options;
  let opened: Promise<{ readonly s3: S3Module; readonly client: Sdk.S3Client }> | null = null;

  async function open(): Promise<{ readonly s3: S3Module; readonly client: Sdk.S3Client }> {
    // It warns of the Node it will drop; which one runs is decided elsewhere, and stderr is for the log.
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
    const s3 = await import('@aws-sdk/client-s3');
    const { region, endpoint, path_style, access_key_id, secret_access_key, session_token } =
      address;
    const client = new s3.S3Client({
      region,
      ...(endpoint !== undefined && { endpoint }),
      forcePathStyle: path_style,
      maxAttempts: 1,
      // Servers that do not know them refuse or garble what newer SDKs add by themselves.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: Math.min(timeoutMs, CONNECT_MS_MAX),
        httpsAgent: new Agent({ keepAlive: true, ...(await readTls(address.tls)) }),
      },
      ...(access_key_id !== undefined &&
        secret_access_key !== undefined && {
          credentials: {
            accessKeyId: access_key_id,
            secretAccessKey: secret_access_key,
            ...(session_token !== undefined && { sessionToken: session_token }),
          },
        }),
    });
    return { s3, client };
  }

  return {
    address,
    run: async (work) => {
      const limit = AbortSignal.timeout(timeoutMs);
      const abortSignal =
        options.signal === undefined ? limit : AbortSignal.any([limit, options.signal()]);
      try {
        opened ??= open();
        const { s3, client } = await opened.catch((error: unknown) => {
          // The files of TLS may be there the next time.
          opened = null;
          throw error;
        });
        return await work(s3, client, { abortSignal });
      } catch (error) {
        throw describe(error, address, limit.aborted ? timeoutMs : null);
      }
    },
    close: () => {
      const ending = opened;
      opened = null;
      // One that could not be opened has nothing to be let go; who asked for it has been told.
      void ending?.then(
        ({ client }) => client.destroy(),
        () => undefined,
      );
    },
  };
}

/** What an operator can do about it, by S3's name for it. */
const REMEDIES: Readonly<Record<string, string>> = {
  NoSuchBucket: 'make it with `sealtrail setup archive`',
  ObjectLockConfigurationNotFoundError:
    'the bucket has no Object Lock, so nothing in it would be safe: make another with `sealtrail setup archive`',
  InvalidAccessKeyId: 'the access key is unknown or revoked',
  SignatureDoesNotMatch: 'the secret key is not that of the access key',
  ExpiredToken: 'the temporary credentials have expired',
  AccessDenied: 'the credentials lack a right; `sealtrail setup archive --policy` prints which',
  RequestTimeTooSkewed: "this host's clock and the server's are too far apart: check NTP",
};

function describe(error: unknown, { bucket }: ArchiveAddress, limitMs: number | null): Error {
  if (error instanceof ArchiveError) return error;
  if (limitMs !== null)
    return new ArchiveError('Timeout', 0, `S3 did not answer within ${limitMs} ms`);
  const { name, $metadata } = error as {
    readonly name?: string;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode ?? 0;
  const code = status === 0 ? codeOf(error) || (name ?? '') : (name ?? '');
  const said = messageOf(error).replace(/^UnknownError$/, '');
  const remedy = Object.hasOwn(REMEDIES, code) ? `; ${REMEDIES[code]}` : '';
  const words = [code, status === 0 ? '' : `(${status})`, said === '' ? '' : `: ${said}`];
  const message = `S3 bucket ${bucket}: ${words.join(' ').replace(' :', ':').trim()}${remedy}`;
  return new ArchiveError(code, status, message);
}
