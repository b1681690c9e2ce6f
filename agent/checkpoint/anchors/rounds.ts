/**
 * Rounds: each checkpoint of the anchor log goes to all anchors at once, and nothing waits for them. An anchor
 * that fails is tried again with the newest one, after a pause with full jitter. A checkpoint counts as anchored
 * once `quorum` of them have it; what they gave is kept on disk before it counts.
 */
import type { AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import type { AnchorsConfig } from '../../../schemas/anchor-config.ts';
import { messageOf } from '../../../schemas/result.ts';
import type { Logger } from '../../ports.ts';
import type { AnchorsStatus } from '../../status-ports.ts';
import type { StageClock } from '../clock.ts';
import type { Anchor, AnchorFailure, Publication } from './anchor.ts';
import type { EvidenceFile } from './evidence-file.ts';

export interface Rounds {
  /** Publishes a checkpoint that is durable here. Older ones that an anchor does not have are let go. */
  offer(publication: Publication): void;
  status(): AnchorsStatus;
  /** Resolves when every anchor has the newest one, or has just failed. */
  settled(): Promise<void>;
  /** Gives what was offered last so much time, and ends. */
  stop(timeoutMs: number): Promise<void>;
}

export interface RoundsOptions {
  readonly anchors: readonly Anchor[];
  readonly config: Pick<AnchorsConfig, 'quorum' | 'timeout_ms' | 'retry'>;
  readonly evidence: EvidenceFile;
  readonly clock: StageClock;
  /** From [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /**
   * Anchors whose claim without proof was heard. Once in the life of a process, whatever rounds there are in it: a
   * witness that lies would else end one log after the other, each as soon as it is begun.
   */
  readonly heard: Set<string>;
  /** Another agent lives on a copy of this log, or it was put back: nothing more goes to it. */
  readonly onConflict: (origin: string, reason: string) => void;
  /** What was given could not be kept. */
  readonly onFailed: (reason: string) => void;
}

interface Member {
  readonly anchor: Anchor;
  /** The newest that it has. */
  done: Publication | null;
  doneAtMs: number | null;
  failures: number;
  failuresTotal: number;
  lastError: AnchorFailure | null;
  isBusy: boolean;
  cancelRetry: () => void;
}

/** Doublings beyond this would only overflow. */
const DOUBLINGS_MAX = 30;

/** Creates the rounds of an agent's anchors. */
export function createRounds(options: RoundsOptions): Rounds {
  const { config, evidence, clock, log } = options;
  const { quorum, timeout_ms: timeoutMs, retry } = config;
  const ending = new AbortController();
  const members: readonly Member[] = options.anchors.map((anchor) => ({
    anchor,
    done: null,
    doneAtMs: null,
    failures: 0,
    failuresTotal: 0,
    lastError: null,
    isBusy: false,
    cancelRetry: () => undefined,
  }));
  let newest: Publication | null = null;
  let reached: { readonly size: bigint; readonly atMs: number } | null = null;
  let isEnded = false;
  let onIdle: (() => void)[] = [];
  /** Logs that were found elsewhere. */
  const left = new Set<string>();

  async function publish(member: Member, publication: Publication): Promise<void> {
    const { anchor } = member;
    const timeout = new AbortController();
    const cancel = clock.after(timeoutMs, () => timeout.abort());
    const signal = AbortSignal.any([timeout.signal, ending.signal]);
    try {
      const published = await anchor.publish(publication, signal);
      if (!published.ok) return fail(member, publication, published.error);
      await take(member, publication, published.value);
    } finally {
      cancel();
    }
  }

  async function take(
    member: Member,
    publication: Publication,
    given: AnchorEvidence,
  ): Promise<void> {
    await evidence.keep(publication, given, quorum);
    if (member.failures > 0)
      log.info(
        { component: 'anchor', anchor: member.anchor.name },
        'the anchor takes checkpoints again',
      );
    Object.assign(member, {
      done: publication,
      doneAtMs: clock.nowMs(),
      failures: 0,
      lastError: null,
    });
    const { origin, size } = publication.checkpoint;
    // Who has a later one of this log has this one within it.
    const holders = members.filter(
      ({ done }) => done?.checkpoint.origin === origin && done.checkpoint.size >= size,
    ).length;
    if (holders >= quorum && size > (reached?.size ?? -1n)) reached = { size, atMs: clock.nowMs() };
  }

  function fail(member: Member, { checkpoint }: Publication, failure: AnchorFailure): void {
    if (isEnded) return;
    const { anchor } = member;
    member.failures += 1;
    member.failuresTotal += 1;
    // Said when it begins and when it changes, not once a try.
    if (member.lastError?.message !== failure.message)
      log.warn(
        { component: 'anchor', anchor: anchor.name, kind: failure.kind, reason: failure.message },
        'an anchor did not take a checkpoint; it is tried again',
      );
    member.lastError = failure;
    if (!('held' in failure)) return;
    const isProven = failure.held.note !== null;
    if (!isProven && options.heard.has(anchor.name)) return;
    if (!isProven) options.heard.add(anchor.name);
    const { origin } = checkpoint;
    if (left.has(origin)) return;
    left.add(origin);
    options.onConflict(origin, describeConflict(anchor.name, failure));
  }

  /** Brings one anchor up to the newest checkpoint; one publication at a time. */
  function drive(member: Member): void {
    member.cancelRetry();
    if (isEnded || member.isBusy || newest === null || member.done === newest) return;
    if (left.has(newest.checkpoint.origin)) return;
    member.isBusy = true;
    publish(member, newest)
      .catch((error: unknown) => {
        // Not the peer: our own disk.
        options.onFailed(`what anchors gave cannot be kept: ${messageOf(error)}`);
        isEnded = true;
      })
      .finally(() => {
        member.isBusy = false;
        if (member.lastError === null || isEnded) drive(member);
        else member.cancelRetry = clock.after(pauseMs(member.failures), () => drive(member));
        tellIdle();
      });
  }

  function pauseMs(failures: number): number {
    const doubled = retry.initial_ms * 2 ** Math.min(failures - 1, DOUBLINGS_MAX);
    return Math.floor(options.random() * Math.min(retry.max_ms, doubled));
  }

  function tellIdle(): void {
    if (members.some(({ isBusy }) => isBusy)) return;
    for (const tell of onIdle) tell();
    onIdle = [];
  }

  const settled = (): Promise<void> =>
    members.some(({ isBusy }) => isBusy)
      ? new Promise((settle) => onIdle.push(settle))
      : Promise.resolve();

  return {
    offer: (publication) => {
      newest = publication;
      for (const member of members) drive(member);
    },
    settled,
    status: () => ({
      quorum,
      quorum_size: Number(reached?.size ?? 0n),
      quorum_at: iso(reached?.atMs ?? null),
      members: members.map(({ anchor, done, doneAtMs, failuresTotal, lastError }) => ({
        name: anchor.name,
        state: lastError === null ? 'taking' : 'held' in lastError ? 'conflict' : 'failing',
        size: Number(done?.checkpoint.size ?? 0n),
        anchored_at: iso(doneAtMs),
        failures_total: failuresTotal,
        last_error: lastError?.message ?? null,
      })),
    }),
    stop: async (giveMs) => {
      const cancel = clock.after(giveMs, () => ending.abort());
      await settled();
      cancel();
      isEnded = true;
      ending.abort();
      for (const member of members) member.cancelRetry();
      await settled();
      await Promise.all(members.map(({ anchor }) => anchor.close()));
    },
  };
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** The conflict in a sentence, with the checkpoint that was seen: it goes into a genesis. */
export function describeConflict(anchor: string, failure: AnchorFailure): string {
  const root = 'held' in failure && failure.held.root;
  const seen = root ? ` (root ${Buffer.from(root).toString('base64')})` : '';
  return `${anchor}: ${failure.message}${seen}`;
}
