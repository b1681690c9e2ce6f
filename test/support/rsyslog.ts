/**
 * A real rsyslog on 127.0.0.1: imtcp, with or without TLS, messages split into their RFC 5424 fields and
 * written one line of JSON each. It can be killed and started again on its port with its file, and is
 * stopped by pid.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'vitest';
import { freePort } from '../../bench/processes.ts';

const RSYSLOGD = '/usr/sbin/rsyslogd';

/** Whether rsyslog and its OpenSSL driver are installed. */
export const hasRsyslog: boolean =
  existsSync(RSYSLOGD) && existsSync('/usr/share/doc/rsyslog-openssl');

export interface RsyslogTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** Set: clients must show a certificate of the authority that carries this name. */
  readonly permitted?: string;
}

export interface SyslogLine {
  readonly pri: string;
  readonly time: string;
  readonly host: string;
  readonly app: string;
  readonly msgid: string;
  readonly sd: string;
  readonly msg: string;
}

export interface Rsyslog extends AsyncDisposable {
  /** 127.0.0.1:port. */
  readonly endpoint: string;
  readonly port: number;
  /** Everything it has written so far, whichever process wrote it. */
  lines(): Promise<readonly SyslogLine[]>;
  /** What it sees of the event_id in the structured data. */
  ids(): Promise<readonly string[]>;
  /** Does nothing any more, while the kernel takes what comes. */
  freeze(): void;
  /** Ends at once and loses what it had in memory. */
  kill(): Promise<void>;
  /** Starts on the same port, with other TLS settings if given. */
  start(tls?: RsyslogTls): Promise<void>;
}

/** Starts rsyslog with its files in `dir`. */
export async function startRsyslog(dir: string, first?: RsyslogTls): Promise<Rsyslog> {
  const output = join(dir, 'messages.ndjson');
  let tls = first;
  const port = await freePort();
  let daemon: ChildProcess | null = null;

  async function start(): Promise<void> {
    const config = join(dir, 'rsyslog.conf');
    for (const [name, text] of Object.entries({ cert: tls?.cert, key: tls?.key, ca: tls?.ca }))
      if (text !== undefined) await writeFile(join(dir, `${name}.pem`), text);
    await writeFile(config, configOf(dir, port, tls));
    await rm(join(dir, 'pid'), { force: true });
    daemon = spawn(RSYSLOGD, ['-n', '-f', config, '-i', join(dir, 'pid')], { stdio: 'ignore' });
    await expect.poll(() => canConnect(port), { interval: 20 }).toBe(true);
  }

  async function kill(): Promise<void> {
    if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const exit = once(daemon, 'exit');
    daemon.kill('SIGKILL');
    await exit;
  }

  async function lines(): Promise<readonly SyslogLine[]> {
    const text = await readFile(output, 'utf8').catch(() => '');
    // A killed rsyslog may have written half a line.
    return text.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as SyslogLine];
      } catch {
        return [];
      }
    });
  }

  await start();
  return {
    endpoint: `127.0.0.1:${port}`,
    port,
    lines,
    ids: async () =>
      (await lines()).map(({ sd }) => /event_id="([^"]*)"/.exec(sd)?.[1] ?? 'no event_id'),
    freeze: () => void daemon?.kill('SIGSTOP'),
    kill,
    start: async (other) => {
      tls = other ?? tls;
      await start();
    },
    [Symbol.asyncDispose]: kill,
  };
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return outcome;
}

const FIELDS: Readonly<Record<keyof SyslogLine, string>> = {
  pri: 'name="pri"',
  time: 'name="timereported" dateFormat="rfc3339"',
  host: 'name="hostname"',
  app: 'name="app-name"',
  msgid: 'name="msgid"',
  sd: 'name="structured-data"',
  msg: 'name="msg"',
};

function configOf(dir: string, port: number, tls: RsyslogTls | undefined): string {
  const properties = Object.entries(FIELDS).map(
    ([name, property]) => `  property(outname="${name}" ${property} format="jsonf")`,
  );
  const files = ['CA', 'Cert', 'Key'].map(
    (name) => `DefaultNetstreamDriver${name}File="${join(dir, `${name.toLowerCase()}.pem`)}"`,
  );
  const driver = tls === undefined ? [] : ['StreamDriver.Name="ossl"', 'StreamDriver.Mode="1"'];
  const whom =
    tls?.permitted === undefined
      ? ['StreamDriver.AuthMode="anon"']
      : ['StreamDriver.AuthMode="x509/name"', `PermittedPeer=["${tls.permitted}"]`];
  return [
    `global(workDirectory="${dir}" maxMessageSize="8k"${tls ? ` ${files.join(' ')}` : ''})`,
    'module(load="imtcp")',
    'template(name="fields" type="list" option.jsonf="on") {',
    ...properties,
    '}',
    `input(type="imtcp" port="${port}" address="127.0.0.1" ${[...driver, ...(tls ? whom : [])].join(' ')})`,
    `action(type="omfile" file="${join(dir, 'messages.ndjson')}" template="fields")`,
    '',
  ].join('\n');
}
