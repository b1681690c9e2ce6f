/**
 * One table of faults for every sink over HTTP: whatever a peer, a network or an operator does, once it
 * is over every record is there, and no record is a dead letter that its peer would take.
 */
import { describe, expect, test } from 'vitest';
import { createAuthority } from '../../../support/certificates.ts';
import { whenDelivered } from '../../../support/delivery.ts';
import type { PeerFault } from '../../../support/http-peer.ts';
import { authority, COUNT, expectAll, KINDS, startTrial, whenInTrouble } from './http-trial.ts';

interface Fault {
  readonly name: string;
  readonly fault: PeerFault;
  readonly reason: RegExp;
}

const FAULTS: readonly Fault[] = [
  ...[429, 503].map((status): Fault => ({
    name: `${status}`,
    fault: { kind: 'status', status },
    reason: new RegExp(`${status}|busy`),
  })),
  { name: '500', fault: { kind: 'status', status: 500 }, reason: /500/ },
  { name: 'redirect', fault: { kind: 'status', status: 302 }, reason: /redirect/ },
  { name: '404', fault: { kind: 'status', status: 404 }, reason: /404/ },
  {
    name: 'an answer that trickles without an end',
    fault: { kind: 'trickle' },
    reason: /timeout/,
  },
  {
    name: 'a connection that is reset within the answer',
    fault: { kind: 'reset' },
    reason: /closed|reset|terminated|acknowledge/i,
  },
  {
    name: 'a connection that is reset before it',
    fault: { kind: 'refuse' },
    reason: /closed|reset/i,
  },
  {
    name: 'credentials revoked (401)',
    fault: { kind: 'revoked', status: 401 },
    reason: /not accepted/,
  },
  {
    name: 'credentials revoked (403)',
    fault: { kind: 'revoked', status: 403 },
    reason: /403|not known|may not/,
  },
];

describe.each(KINDS)('$name', (kind) => {
  test.each(FAULTS)('$name: everything is there once it is over', async ({ fault, reason }) => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    peer.setFault(fault);
    const loop = await trial.begin([peer.url]);
    await whenInTrouble(loop, reason);
    peer.setFault(null);
    await expectAll(kind, trial, peer, loop);
  });

  test.each([301, 307])(
    'a redirect (%i) leads nowhere: records and credentials stay',
    async (status) => {
      await using peer = await kind.start();
      await using elsewhere = await kind.start();
      await using trial = await startTrial(kind);
      peer.setFault({ kind: 'status', status, location: elsewhere.url });
      const loop = await trial.begin([peer.url]);
      await whenInTrouble(loop, /redirect/);
      peer.setFault(null);
      await expectAll(kind, trial, peer, loop);
      expect(elsewhere.requests()).toBe(0);
    },
  );

  test.concurrent.each([
    ['seconds', () => '1'],
    // A date has whole seconds: two of them are more than one from now.
    ['an HTTP date', () => new Date(Date.now() + 2_000).toUTCString()],
  ])('Retry-After in %s is waited for', async (_, retryAfter) => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    peer.setFault({ kind: 'status', status: 503, retryAfter: retryAfter() });
    const startedMs = Date.now();
    const loop = await trial.begin([peer.url]);
    await whenInTrouble(loop, /./);
    peer.setFault(null);
    await expectAll(kind, trial, peer, loop);
    expect(Date.now() - startedMs).toBeGreaterThan(900);
  });

  test('413 splits the batch, and only a record that is too large alone is a dead letter', async () => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    peer.setFault({ kind: 'limit', bytes: 8_000 });
    const loop = await trial.begin([peer.url]);
    await expectAll(kind, trial, peer, loop);
    expect(peer.requests()).toBeGreaterThan(3);

    await using small = await kind.start();
    await using other = await startTrial(kind);
    small.setFault({ kind: 'limit', bytes: 100 });
    const refused = await other.begin([small.url]);
    await whenDelivered(refused, other.durable);
    expect(refused.report().dead_letters).toBe(COUNT);
    expect(small.stored).toEqual([]);
  });

  test('records that are refused are dead letters, all others arrive', async () => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind);
    const refused = [3, 4, 12, 24].flatMap((at) => trial.ids[at] ?? []);
    for (const id of refused) peer.refused.add(id);
    const loop = await trial.begin([peer.url]);
    await expectAll(kind, trial, peer, loop, refused);
    expect(loop.report().dead_letters).toBe(4);
  });

  // A protocol that cannot say it has no such case.
  if (kind.putsOff) {
    test('records that are put off go again, the others are kept', async () => {
      await using peer = await kind.start();
      await using trial = await startTrial(kind);
      for (const at of [2, 5]) peer.putOff.add(trial.ids[at] ?? '');
      const loop = await trial.begin([peer.url]);
      await whenInTrouble(loop, /put off|again/);
      peer.putOff.clear();
      await expectAll(kind, trial, peer, loop);
    });
  }

  test.each([
    ['of another authority', () => createAuthority('another').issue('peer')],
    ['of another host', () => authority.issue('peer', { host: 'other.example' })],
    ['that has expired', () => authority.issue('peer', { daysLeft: -1 })],
  ])('a certificate %s: nothing is sent until it is right', async (_, issue) => {
    await using peer = await kind.start(issue());
    await using trial = await startTrial(kind);
    const loop = await trial.begin([peer.url]);
    await whenInTrouble(loop, /certificate|altname|expired|issuer/i);
    expect(peer.requests()).toBe(0);
    peer.setCertificate(authority.issue('peer'));
    await expectAll(kind, trial, peer, loop);
  });

  test('a name that does not resolve is tried again; with the right one everything arrives', async () => {
    await using peer = await kind.start();
    await using trial = await startTrial(kind, { timeout_ms: 5_000 });
    const lost = await trial.begin(['http://nowhere.invalid:9']);
    await whenInTrouble(lost, /ENOTFOUND|EAI_AGAIN|timeout/);
    const loop = await trial.begin([peer.url]);
    await expectAll(kind, trial, peer, loop);
  });
});
