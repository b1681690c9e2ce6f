/** Holds and purges in any order, in a real store, beside a plain model of what has to be left. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { events, type PurgeStore } from './purge-store.ts';
import { preview, runPurge } from './purging.ts';

/** Fails where store or verifier and the model differ. */
export async function checkPurgeModel(
  { clients, makeStream, hold, lift, seqsOf, verify }: PurgeStore,
  options: fc.Parameters<unknown>,
): Promise<void> {
  const act = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('hold' as const), at: fc.nat(899) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('lift' as const), at: fc.nat(9) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('purge' as const),
        at: fc.integer({ min: 1, max: 3 }),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 8 }), async (acts) => {
      const of = await makeStream(events(900));
      const whole = new Set(of.records.keys());
      const holds: { id: string; seq: number }[] = [];
      let [size, base] = [0, 0];
      for (const { kind, at } of [...acts, { kind: 'purge' as const, at: 3 }]) {
        if (kind === 'hold') holds.push({ id: await hold(of, { actor: `u-${at}` }), seq: at });
        else if (kind === 'lift') {
          const [lifted] = holds.splice(at % (holds.length + 1), 1);
          if (lifted !== undefined) await lift(lifted.id);
        } else {
          const wanted = at * 256;
          if (wanted < size || base >= wanted) continue;
          const kept = holds.map(({ seq }) => seq).filter((seq) => seq < wanted && whole.has(seq));
          const said = await preview(clients.retention, of.stream, wanted);
          await runPurge(clients.retention, await of.recordPurge(said), 256);
          whole.add(of.records.length - 1);
          for (let seq = 0; seq < wanted; seq += 1) if (!kept.includes(seq)) whole.delete(seq);
          [size, base] = [
            wanted,
            kept.length === 0 ? wanted : Math.floor(Math.min(...kept) / 256) * 256,
          ];
        }
      }
      const rest = [...whole].sort((one, other) => one - other);
      expect(await seqsOf(of, 'records')).toEqual(rest);
      expect(await seqsOf(of, 'record_keys')).toEqual(rest);
      const stubs = Array.from({ length: size - base }, (_, at) => base + at);
      expect(await seqsOf(of, 'stubs')).toEqual(stubs.filter((seq) => !whole.has(seq)));
      expect(await verify(of)).toMatchObject({ verdict: 'intact', findings: [] });
    }),
    options,
  );
}
