/**
 * Seals the story: the agent's own data directory, keys, admission, append stage and checkpoint stage, with the
 * story's clock. One commit an event, a round of checkpoints an hour in which something happened, an anchor round a day.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openLedger, type OpenedLedger } from '../agent/append/open.ts';
import { startStage, type Stage } from '../agent/checkpoint/stage.ts';
import { claimDataDir } from '../agent/claiming.ts';
import type { Logger, Meter } from '../agent/ports.ts';
import { createAdmission } from '../agent/receive/admission.ts';
import { createSigner } from '../agent/signing-key.ts';
import { createStops } from '../agent/stops.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { createRedactor } from '../redaction/redaction.ts';
import type { Config } from '../schemas/config.ts';
import type { Receipt } from '../schemas/record.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import { createStoryClock, type StoryClock } from './clock.ts';
import { DAY_MS, HOUR_MS } from './happening.ts';
import type { Random } from './random.ts';
import type { Told } from './story.ts';

export interface Sealed {
  /** By event id. */
  readonly receipts: ReadonlyMap<string, Receipt>;
  readonly gap: Gap;
}

/** Numbers that one producer gave and that never arrived: somebody took its events away. */
export interface Gap {
  readonly producer: string;
  readonly service: string;
  readonly after: number;
  readonly before: number;
}

const GAP_SERVICE = 'crm';
const GAP_NUMBERS = 3;
/** Of the producer's numbers; within the month. */
const GAP_AFTER = 400;
const BLINDING_KEY_BYTES = 32;
const NO_METER: Meter = {
  acks: () => undefined,
  nacks: () => undefined,
  commit: () => undefined,
  producerGap: () => undefined,
  connection: () => undefined,
};

export interface SealOptions {
  readonly config: Config;
  readonly vocabulary: Vocabulary;
  readonly told: readonly Told[];
  readonly fromMs: number;
  readonly random: Random;
  readonly log: Logger;
}

/** Seals all of it; an error says why the directory, the ledger or an event is not taken. */
export async function sealStory(options: SealOptions): Promise<Result<Sealed, string>> {
  const stops = createStops(options.log);
  let failure: string | null = null;
  const fail = (reason: string): void => void (failure ??= reason);
  try {
    const { config, vocabulary, log } = options;
    const claimed = await claimDataDir(config, log, stops, fail);
    if (!claimed.ok) return claimed;
    const { agent, keys, ring } = claimed.value;
    const clock = createStoryClock(options.fromMs);
    const ledger = await openLedger({
      ...{
        dir: join(config.data_dir, 'ledger'),
        config: config.ledger,
        agent,
        meter: NO_METER,
        log,
      },
      nowMs: clock.nowMs,
      onDurable: () => undefined,
      onFailed: fail,
    });
    if (!ledger.ok) return ledger;
    stops.add('ledger', () => ledger.value.close());
    const signers = ring.signing().map((key) => createSigner(agent.name, key));
    const stage = await beginStage(options, ledger.value, clock, signers, fail);
    stops.add('checkpoints', () => stage.stop());
    const admission = createAdmission({
      tenants: new Set(config.tenants.map(({ id }) => id)),
      vocabulary,
      redactor: createRedactor({ masterKey: keys.redaction, sensitiveKeys: [], keepsEmails: true }),
    });
    const sealed = await appendAll(options, admission, ledger.value, stage, clock);
    await stage.settled();
    return failure === null ? sealed : err(failure);
  } finally {
    await stops.run();
  }
}

async function beginStage(
  { config, log }: SealOptions,
  ledger: OpenedLedger,
  clock: StoryClock,
  signers: Parameters<typeof startStage>[0]['signers'],
  onFailed: (reason: string) => void,
): Promise<Stage> {
  const dir = join(config.data_dir, 'checkpoints');
  await nodeFilesystem.makeDir(dir);
  const blindingKey = randomBytes(BLINDING_KEY_BYTES);
  await nodeFilesystem.replace(join(dir, 'blinding.key'), `${blindingKey.toString('hex')}\n`);
  return startStage({
    dir,
    ledgerDir: join(config.data_dir, 'ledger'),
    filesystem: nodeFilesystem,
    clock,
    agent: config.agent.name,
    incarnation: ledger.incarnation,
    blindingKey,
    signers,
    settings: { interval_ms: HOUR_MS, records_max: 100_000, anchor_interval_ms: DAY_MS },
    durable: ledger.append.status().records,
    log,
    onFailed,
  });
}

async function appendAll(
  { told, random, fromMs }: SealOptions,
  admission: ReturnType<typeof createAdmission>,
  ledger: OpenedLedger,
  stage: Stage,
  clock: StoryClock,
): Promise<Result<Sealed, string>> {
  const receipts = new Map<string, Receipt>();
  const producers = new Map<string, { readonly id: string; seq: number }>();
  const everybody = { has: () => true };
  let hour = 0;
  for (const { what, event } of told) {
    const thisHour = Math.floor(what.atMs / HOUR_MS);
    if (thisHour !== hour) {
      clock.moveTo(thisHour * HOUR_MS);
      await stage.settled();
      hour = thisHour;
    }
    // From the service to the agent: some milliseconds.
    clock.moveTo(what.atMs + random.int(1, 8));
    const producer = producers.get(what.service) ?? { id: random.ulid(fromMs), seq: 0 };
    producers.set(what.service, producer);
    if (what.service === GAP_SERVICE && producer.seq === GAP_AFTER + 1) producer.seq += GAP_NUMBERS;
    const [outcome] = await ledger.append.append({
      producer: producer.id,
      firstSeq: producer.seq,
      events: [admission.admitEvent(event, everybody)],
    });
    producer.seq += 1;
    if (outcome?.kind !== 'appended')
      return err(
        `${event.event_id} was not taken: ${outcome?.kind === 'refused' ? outcome.refusal.message : 'known before'}`,
      );
    receipts.set(event.event_id, outcome.receipt);
    stage.notifyDurable(ledger.append.status().records);
  }
  const gap = {
    producer: producers.get(GAP_SERVICE)?.id ?? '',
    service: GAP_SERVICE,
    after: GAP_AFTER,
    before: GAP_AFTER + GAP_NUMBERS + 1,
  };
  return ok({ receipts, gap });
}
