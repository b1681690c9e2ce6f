/** A server for the store, of the version that is embedded, or of the oldest that is supported. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { startPostgres, type TestRole } from './postgres.ts';
import { hasPostgres15, startPostgres15 } from './postgres-15.ts';

export type Kind = 'embedded' | 'postgresql 15';
/** The newest server, and the oldest that is supported, where it is there. */
export const KINDS: readonly Kind[] = hasPostgres15 ? ['embedded', 'postgresql 15'] : ['embedded'];
/** Of every login that a test makes. */
export const PASSWORD = 'a password of an auditor';

export interface KindServer {
  readonly stop: () => Promise<void>;
  /** Of a role of the store, `admin`, which is the superuser, or a login that the test makes. */
  readonly url: (login: string) => string;
}

/** Starts one with the roles of the store and an empty database, not migrated. */
export function startKind(kind: Kind): Promise<KindServer> {
  return kind === 'embedded' ? startEmbedded() : startOld();
}

async function startEmbedded(): Promise<KindServer> {
  const server = await startPostgres();
  const url = (login: string): string => {
    const role = login === 'admin' ? 'admin' : /^sealtrail_(\w+)$/.exec(login)?.[1];
    if (role !== undefined) return server.url(role as TestRole);
    const own = new URL(server.url('auditor'));
    [own.username, own.password] = [login, PASSWORD];
    return own.href;
  };
  return { url, stop: server.stop };
}

async function startOld(): Promise<KindServer> {
  const server = await startPostgres15();
  const boss = new pg.Client(server.url);
  await boss.connect();
  await boss.query(`CREATE DATABASE sealtrail ENCODING 'UTF8' TEMPLATE template0`);
  await boss.query(
    readFileSync(join(import.meta.dirname, '../../store/migrations/roles.sql'), 'utf8'),
  );
  await boss.query('ALTER DATABASE sealtrail OWNER TO sealtrail_owner');
  for (const role of ['owner', 'writer', 'retention', 'legal'])
    await boss.query(`ALTER ROLE sealtrail_${role} LOGIN`);
  await boss.end();
  const url = (login: string): string =>
    server.url
      .replace('boss@', `${login === 'admin' ? 'boss' : login}@`)
      .replace(/postgres$/, 'sealtrail');
  return { url, stop: async () => server[Symbol.asyncDispose]() };
}
