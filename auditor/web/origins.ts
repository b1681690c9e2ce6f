/** As what browsers reach the server: known once it listens, where no name is configured. */

export interface Origins {
  /** Whether browsers come by TLS. */
  readonly isSecure: boolean;
  /** The one that is printed, and that other sites send people back to. */
  own(): string;
  has(origin: string): boolean;
  hasHost(host: string | undefined): boolean;
  /** It listens there. */
  listens(host: string, port: number): void;
}

/** Creates them; without a public URL the server is reached where it listens, and as localhost. */
export function createOrigins(publicUrl: string | null, hasTls: boolean): Origins {
  const isSecure = publicUrl === null ? hasTls : publicUrl.startsWith('https:');
  let origins: readonly URL[] = publicUrl === null ? [] : [new URL(publicUrl)];
  return {
    isSecure,
    own: () => origins[0]?.origin ?? '',
    has: (origin) => origins.some((one) => one.origin === origin),
    hasHost: (host) => origins.some((one) => one.host === host),
    listens(host, port) {
      if (publicUrl !== null) return;
      const names = [host.includes(':') ? `[${host}]` : host, 'localhost'];
      origins = names.map((name) => new URL(`${isSecure ? 'https' : 'http'}://${name}:${port}`));
    },
  };
}
