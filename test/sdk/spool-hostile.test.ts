/** A spool folder in which others have been: what cannot be sent is set aside and told, and never holds up the rest. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { FrameType } from '../../schemas/wire.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { createAudit, type Audit } from '../../sdk/index.ts';
import { encodeSpoolHeader, encodeSpoolLine } from '../../sdk/spool-format.ts';
import { startAgentPeer, type AgentPeer } from '../support/agent-peer.ts';
import { makeEvent } from '../support/events.ts';
import { draft, TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';

const LOGIN = draft({ action: 'user.login' });
const eventually = <T>(look: () => T): ReturnType<typeof expect.poll<T>> => expect.poll(look);

let dir = '';
let spoolDir = '';
let peer: AgentPeer;
let closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sealtrail-hostile-'));
  spoolDir = join(dir, 'spool');
  peer = await startAgentPeer({}, join(dir, 'agent.sock'));
  closing = [() => peer.close()];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(dir, { recursive: true, force: true });
});

function open(): Audit<unknown> {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath: peer.socketPath,
    timeoutMs: 5000,
    spool: { dir: spoolDir, afterMs: 30 },
  });
  closing.push(() => audit.close());
  return audit;
}

const lineOf = (event: unknown): Buffer => encodeSpoolLine(Buffer.from(canonicalize(event)));

/** A folder of a process that is gone, with one good file behind `spoil`'s. */
function orphan(spoil: (path: string) => void): string {
  const folder = join(spoolDir, ulid());
  mkdirSync(folder, { recursive: true });
  spoil(join(folder, `${ulid(1)}.ndjson`));
  const event = makeEvent({ event_id: ulid() });
  writeFileSync(
    join(folder, `${ulid()}.ndjson`),
    Buffer.concat([encodeSpoolHeader(ulid()), lineOf(event)]),
  );
  return event.event_id;
}

const idsSent = (): string[] =>
  peer.appended.map(({ text }) => (JSON.parse(text) as { event_id: string }).event_id);
const setAside = (): string[] => readdirSync(join(spoolDir, 'set-aside'));
const channel = (): Record<string, unknown>[] =>
  readdirSync(spoolDir)
    .filter((name) => name.startsWith('audit_failure-'))
    .flatMap((name) => readFileSync(join(spoolDir, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

it.each<[string, (path: string) => void]>([
  ['a folder', (path) => void mkdirSync(path)],
  ['a pipe', (path) => void execFileSync('mkfifo', [path])],
  ['a link to something endless', (path) => symlinkSync('/dev/zero', path)],
  ['a link to nothing', (path) => symlinkSync('/nowhere', path)],
  ['a link to a secret', (path) => symlinkSync('/etc/passwd', path)],
])(
  '%s in the place of a file is set aside and told; what is behind it is drained',
  async (_what, spoil) => {
    const behind = orphan(spoil);
    open();
    await eventually(idsSent).toEqual([behind]);
    await eventually(setAside).toHaveLength(1);
    await eventually(channel).toMatchObject([{ kind: 'spool_damaged' }]);
    await eventually(() => readdirSync(spoolDir).filter((name) => name.length === 26)).toEqual([]);
  },
);

it('a file that disappears holds nothing up', async () => {
  const folder = join(spoolDir, ulid());
  mkdirSync(folder, { recursive: true });
  const files = [1, 2, 3].map((n) => {
    const path = join(folder, `${ulid(n)}.ndjson`);
    const event = makeEvent({ event_id: ulid() });
    writeFileSync(path, Buffer.concat([encodeSpoolHeader(ulid()), lineOf(event)]));
    return { path, event_id: event.event_id };
  });
  await peer.close();
  const audit = open();
  // By then the first one has been read, and waits for the agent.
  await audit.record(LOGIN);
  rmSync(files[1]!.path);
  peer = await startAgentPeer({}, peer.socketPath);
  await eventually(() => audit.stats().spool?.drained).toBe(3);
  expect(idsSent()).toEqual(expect.arrayContaining([files[0]!.event_id, files[2]!.event_id]));
  expect(idsSent()).not.toContain(files[1]!.event_id);
});

it('lines that no writer of the spool writes count as damage, whatever their checksum', async () => {
  const secret = 'a text about Ada';
  const { event_id: _, ...anonymous } = makeEvent();
  const huge = makeEvent({ event_id: ulid(), metadata: { text: 'x'.repeat(5 * 1024 * 1024) } });
  const hostile = [
    encodeSpoolLine(Buffer.from('')),
    encodeSpoolLine(Buffer.from('[]')),
    encodeSpoolLine(Buffer.from('not JSON')),
    encodeSpoolLine(Buffer.from(`{"event_id":"${secret}","event":{"action":"user.login"}}`)),
    encodeSpoolLine(Buffer.from(`{"event_id":"${ulid()}","event":{"action":7}}`)),
    lineOf(anonymous),
    lineOf(huge),
    Buffer.from('00000000 {}\n'),
    encodeSpoolHeader(ulid()),
  ];
  const good = makeEvent({ event_id: ulid() });
  orphan((path) =>
    writeFileSync(path, Buffer.concat([encodeSpoolHeader(ulid()), ...hostile, lineOf(good)])),
  );
  open();
  await eventually(() => idsSent()).toHaveLength(2);
  expect(idsSent()).toContain(good.event_id);
  await eventually(setAside).toHaveLength(1);
  await eventually(channel).toMatchObject([
    { kind: 'spool_damaged', corrupt_lines: hostile.length },
  ]);
  expect(JSON.stringify(channel())).not.toContain('Ada');
});

it('a file under the producer of another one, with other events, is recorded all the same', async () => {
  const producer = ulid();
  const events = Array.from({ length: 4 }, () => makeEvent({ event_id: ulid() }));
  for (const half of [events.slice(0, 2), events.slice(2)])
    orphan((path) =>
      writeFileSync(path, Buffer.concat([encodeSpoolHeader(producer), ...half.map(lineOf)])),
    );
  open();
  await eventually(() => idsSent()).toHaveLength(6);
  expect(new Set(idsSent())).toEqual(
    new Set([...idsSent(), ...events.map(({ event_id }) => event_id)]),
  );
});

it('an agent that refuses every number is believed the second time: nothing goes round for ever', async () => {
  await peer.close();
  peer = await startAgentPeer(
    { refuse: () => ({ kind: 'protocol_error', message: 'begin again' }) },
    peer.socketPath,
  );
  const id = orphan((path) => writeFileSync(path, encodeSpoolHeader(ulid())));
  const audit = open();
  await eventually(channel).toMatchObject([
    { kind: 'spool_refused', event_id: id, code: 'protocol_error' },
  ]);
  await eventually(setAside).toHaveLength(1);
  await eventually(() => audit.stats().spool?.bytes).toBe(0);
  expect(peer.arrivals).toHaveLength(2);
  expect(new Set(peer.arrivals.map(({ producer }) => producer)).size).toBe(2);
});

it('an agent that answers with garbage, or not at all, keeps nothing and loses nothing', async () => {
  await peer.close();
  let garbage = 4;
  peer = await startAgentPeer(
    {
      garbage: ({ batch }) => {
        const texts = ['', 'null', '{"batch":1}', JSON.stringify({ batch, receipts: [[0, 0]] })];
        return garbage-- > 0 ? encodeFrame(FrameType.ack, texts[garbage] ?? '') : null;
      },
    },
    peer.socketPath,
  );
  const id = orphan((path) => writeFileSync(path, encodeSpoolHeader(ulid())));
  const audit = open();
  await eventually(() => audit.stats().spool?.drained).toBe(1);
  expect(idsSent()).toEqual([id]);
  expect(peer.connections()).toBeGreaterThan(4);
});

it('an event of a fail-open action for which the queue has no room is spooled, not refused', async () => {
  await peer.close();
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath: peer.socketPath,
    timeoutMs: 30_000,
    queueEventsMax: 2,
    spool: { dir: spoolDir, afterMs: 30 },
  });
  closing.push(() => audit.close());
  // Two that wait for the agent, as long as they may.
  const waiting = [audit.record(draft()), audit.record(draft())].map((one) =>
    one.catch((error: unknown) => error),
  );
  await expect(audit.record(draft())).rejects.toMatchObject({ code: 'queue_full' });
  expect(await audit.record(LOGIN)).toMatchObject({ spooled: true, error: { code: 'queue_full' } });
  peer = await startAgentPeer({}, peer.socketPath);
  await eventually(() => audit.stats().spool?.drained).toBe(1);
  expect(await Promise.all(waiting)).toMatchObject([{ stream: 'peer' }, { stream: 'peer' }]);
});
