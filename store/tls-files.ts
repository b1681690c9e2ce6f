/** TLS towards a server: what tls.connect takes, out of the files of a configuration. */
import { readFile } from 'node:fs/promises';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';

export interface TlsFiles {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Reads the files; they may have been renewed since the last time. Rejects with the system's error. */
export async function readTls(tls: TlsClientConfig | undefined): Promise<TlsFiles> {
  if (tls === undefined) return {};
  const [ca, cert, key] = await Promise.all(
    [tls.ca_file, tls.cert_file, tls.key_file].map((file) =>
      file === undefined ? undefined : readFile(file),
    ),
  );
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(tls.server_name !== undefined && { servername: tls.server_name }),
    rejectUnauthorized: !tls.insecure_skip_verify,
  };
}
