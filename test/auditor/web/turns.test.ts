/** Nobody keeps the store busy with certificates for others. */
import { expect, test } from 'vitest';
import { createTurns } from '../../../auditor/web/turns.ts';
import { ok } from '../../../schemas/result.ts';

test('a person’s certificates are made one after the other, a few may wait, and others are not held up', async () => {
  const turns = createTurns();
  let running = 0;
  let most = 0;
  let release = (): void => undefined;
  const held = new Promise<void>((done) => void (release = done));
  const work = async () => {
    most = Math.max(most, ++running);
    await held;
    running -= 1;
    return ok('made');
  };
  const asked = Array.from({ length: 12 }, () => turns.take('alice', work));
  expect(await turns.take('bob', () => Promise.resolve(ok('made')))).toEqual(ok('made'));
  release();
  const said = await Promise.all(asked);
  expect(most).toBe(1);
  expect(said.filter((one) => one.ok)).toHaveLength(10);
  expect(await turns.take('alice', work)).toEqual(ok('made'));
});

test('work that fails is heard of by whoever asked, and the next one has its turn', async () => {
  const turns = createTurns();
  const failing = turns.take('alice', () => Promise.reject(new Error('no disk')));
  const next = turns.take('alice', () => Promise.resolve(ok('made')));
  await expect(failing).rejects.toThrow('no disk');
  expect(await next).toEqual(ok('made'));
});
