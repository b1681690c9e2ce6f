/**
 * Sends the dead letters of a sink again. Those it takes leave the file; the others stay, with the
 * newest reason. The file is replaced as a whole, and the cursor carries the decision to do so
 * together with the sink's mark: a crash at any point neither loses a letter nor delivers it twice.
 */
import { messageOf } from '../../schemas/result.ts';
import type { DeadLetterRetry, DeliveryRecord } from '../ports.ts';
import type { CursorKeeper } from './cursor.ts';
import type { KeptLetter } from './dead-letter-line.ts';
import type { DeadLetters, Rewrite } from './dead-letters.ts';
import { deliveryRecord } from './record.ts';
import { send, type Sender } from './sending.ts';

export interface RedriveOptions {
  readonly sender: Sender;
  readonly letters: DeadLetters;
  readonly keeper: CursorKeeper;
  readonly recordsMax: number;
  /** Hears why all letters stay as they were. */
  readonly onFailed: (reason: string) => void;
}

/**
 * Sends every letter once, oldest first, until the sink takes nothing more. Rejects only when the disk
 * fails between decision and replacement; the next start then ends what was begun.
 */
export async function redrive(options: RedriveOptions): Promise<DeadLetterRetry> {
  const { letters, keeper, sender } = options;
  const { place } = sender.sink;
  const before = letters.count();
  if (before === 0) return { delivered: 0, remaining: 0 };
  const cursor = keeper.current();
  let rewrite: Rewrite | null = null;
  let delivered = 0;
  try {
    // A decision on disk belongs to the file that it was taken for: an older one must not stand there.
    await saveCursor(keeper);
    rewrite = await letters.rewrite();
    delivered = await sendAll(options, rewrite);
    await rewrite.finish();
    keeper.move({ ...cursor, mark: place?.current() ?? null, dead_letters_rewritten: true });
    await saveCursor(keeper);
  } catch (error) {
    keeper.move(cursor);
    await rewrite?.drop();
    // What the sink wrote in vain is written over by what comes next.
    await place?.restore(cursor.mark);
    options.onFailed(`dead letters stay as they are: ${messageOf(error)}`);
    return { delivered: 0, remaining: before };
  }
  await rewrite.replace();
  keeper.move({ ...keeper.current(), dead_letters_rewritten: false });
  return { delivered, remaining: letters.count() };
}

async function saveCursor(keeper: CursorKeeper): Promise<void> {
  if (!(await keeper.save())) throw new Error('the cursor cannot be written');
}

/** Resolves with how many the sink took. */
async function sendAll(options: RedriveOptions, rewrite: Rewrite): Promise<number> {
  const { letters, recordsMax } = options;
  const { next } = options.keeper.current();
  let isHalted = false;
  let delivered = 0;
  for await (const kept of letters.read()) {
    for (let from = 0; from < kept.length; from += recordsMax) {
      const batch = kept.slice(from, from + recordsMax);
      // Records that the cursor has not passed are the loop's.
      const due = isHalted ? [] : batch.filter(({ letter }) => letter.number < next);
      const stay = await sendBatch(options.sender, due);
      isHalted ||= stay.isHalted;
      delivered += due.length - stay.letters.length;
      await rewrite.keep([...stay.letters, ...batch.filter((kept) => !due.includes(kept))]);
    }
  }
  return delivered;
}

/** Sends one batch of letters; resolves with those that stay. */
async function sendBatch(
  sender: Sender,
  batch: readonly KeptLetter[],
): Promise<{ readonly letters: readonly KeptLetter[]; readonly isHalted: boolean }> {
  const reasons = new Map<number, string>();
  const records: DeliveryRecord[] = [];
  for (const { letter, text } of batch) {
    const record = deliveryRecord(letter.number, text);
    if (record === null) reasons.set(letter.number, 'its bytes do not match its hash');
    else records.push(record);
  }
  const sent = await send(sender, records);
  for (const { number } of sent.again) reasons.set(number, sent.reason);
  for (const { record, reason } of sent.poison) reasons.set(record.number, reason);
  const letters = batch.flatMap(({ letter, text }) => {
    const reason = reasons.get(letter.number);
    if (reason === undefined) return [];
    return [{ letter: { ...letter, reason, attempts: letter.attempts + 1 }, text }];
  });
  return { letters, isHalted: sent.again.length > 0 && sent.again.length === records.length };
}
