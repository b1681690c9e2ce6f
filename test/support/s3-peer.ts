/**
 * A peer that speaks as much of S3 as the archive asks of it, for the faults that a real server does not have
 * on demand: it keeps versions in memory, checks Content-MD5, and drops locks when it is told to.
 */
import { createHash } from 'node:crypto';
import { startHttpPeer, type HttpPeer, type PeerAnswer, type PeerRequest } from './http-peer.ts';

export interface S3Peer extends HttpPeer {
  /** Bytes of each key's first version. */
  readonly stored: ReadonlyMap<string, Buffer>;
  /** Answers every request with this error of S3; null: none. */
  setError(error: { readonly code: string; readonly status: number } | null): void;
  /** Puts an object, or takes one away, behind the agent's back. */
  put(key: string, body: Buffer | null, modified?: Date): void;
  /** Lists objects whose key has this in it, and says that none of them is there. */
  conceal(part: string): void;
  /** Takes objects and locks none of them, whatever it is asked. */
  dropLocks(): void;
}

interface Kept {
  readonly body: Buffer;
  readonly etag: string;
  mode: string | null;
  until: string | null;
  readonly modified: Date;
}

const xml = (text: string, status = 200): PeerAnswer => ({
  status,
  type: 'application/xml',
  body: `<?xml version="1.0" encoding="UTF-8"?>\n${text}`,
});

/** Starts a peer with one bucket, `archive`, whose Object Lock is on. */
export async function startS3Peer(): Promise<S3Peer> {
  const kept = new Map<string, Kept>();
  let error: { readonly code: string; readonly status: number } | null = null;
  let isLocking = true;
  let concealed: string | null = null;

  function keep(
    key: string,
    body: Buffer,
    [mode, until]: readonly [string | null, string | null],
    modified = new Date(),
  ): void {
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    kept.set(key, { body, etag, mode, until, modified });
  }

  function handle({ method, url, headers, body }: PeerRequest): PeerAnswer | string {
    if (error !== null)
      return xml(`<Error><Code>${error.code}</Code><Message>no</Message></Error>`, error.status);
    if (headers.authorization?.startsWith('AWS4-HMAC-SHA256 ') !== true) return 'it is not signed';
    const [, bucket, ...rest] = decodeURIComponent(url.pathname).split('/');
    const key = rest.join('/');
    if (bucket !== 'archive') return xml('<Error><Code>NoSuchBucket</Code></Error>', 404);
    if (url.searchParams.has('object-lock'))
      return xml(
        '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>',
      );
    if (url.searchParams.has('versions')) {
      const prefix = url.searchParams.get('prefix') ?? '';
      const found = [...kept].filter(([name]) => name.startsWith(prefix)).sort();
      const versions = found.map(
        ([name, one]) =>
          `<Version><Key>${name}</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><LastModified>${one.modified.toISOString()}</LastModified><ETag>${one.etag}</ETag><Size>${one.body.length}</Size></Version>`,
      );
      return xml(
        `<ListVersionsResult><IsTruncated>false</IsTruncated>${versions.join('')}</ListVersionsResult>`,
      );
    }
    const standing = kept.get(key);
    if (url.searchParams.has('retention')) {
      if (standing !== undefined && isLocking) {
        standing.mode = /<Mode>(.+)<\/Mode>/.exec(body.toString())?.[1] ?? null;
        standing.until =
          /<RetainUntilDate>(.+)<\/RetainUntilDate>/.exec(body.toString())?.[1] ?? null;
      }
      return xml('');
    }
    if (method === 'PUT') {
      const md5 = createHash('md5').update(body);
      if (headers['content-md5'] !== md5.digest('base64')) return 'Content-MD5 is wrong';
      const header = (name: string): string | null =>
        isLocking ? String(headers[`x-amz-object-lock-${name}`] ?? '') : null;
      keep(key, body, [header('mode'), header('retain-until-date')]);
      return { status: 200, body: '' };
    }
    const isConcealed = method === 'HEAD' && concealed !== null && key.includes(concealed);
    if (standing === undefined || isConcealed) return { status: 404, body: '' };
    if (method === 'GET') return { status: 200, type: 'application/gzip', body: standing.body };
    const { mode, until, etag } = standing;
    return {
      status: 200,
      body: standing.body,
      headers: {
        etag,
        'x-amz-version-id': 'v1',
        ...(mode !== null && { 'x-amz-object-lock-mode': mode }),
        ...(until !== null && { 'x-amz-object-lock-retain-until-date': until }),
      },
    };
  }

  const peer = await startHttpPeer({
    handle,
    refusal: (status) => xml('<Error><Code>InvalidAccessKeyId</Code></Error>', status),
  });
  return {
    ...peer,
    get stored() {
      return new Map([...kept].map(([key, { body }]) => [key, body]));
    },
    put: (key, body, modified) => {
      if (body === null) kept.delete(key);
      else keep(key, body, [null, null], modified);
    },
    conceal: (part) => (concealed = part),
    setError: (next) => (error = next),
    dropLocks: () => (isLocking = false),
  };
}
