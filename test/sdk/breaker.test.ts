/** The circuit breaker as a machine: no timers, the time is told. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBreaker, type BreakerChange } from '../../sdk/breaker.ts';

const LIMITS = { failures: 3, forMs: 1000, coolDownMs: 500 };

function create() {
  const changes: BreakerChange[] = [];
  return { breaker: createBreaker(LIMITS, (change) => changes.push(change)), changes };
}

/** Fails often and long enough. */
function breakDown(breaker: ReturnType<typeof createBreaker>): void {
  for (const nowMs of [0, 600, 1200]) breaker.failed(nowMs);
}

describe('a closed breaker', () => {
  it('opens after so many failures in a row that lasted so long', () => {
    const { breaker, changes } = create();
    breakDown(breaker);
    expect(breaker.state(1200)).toBe('open');
    expect(breaker.admit(1200)).toBe('no');
    expect(changes).toEqual([{ state: 'open', reason: 'repeated_failures', refused: 0 }]);
  });

  it('does not open for a hiccup, however many events it hits', () => {
    const { breaker } = create();
    for (let n = 0; n < 1000; n++) breaker.failed(n / 2);
    expect(breaker.state(999)).toBe('closed');
  });

  it('counts anew after an ack', () => {
    const { breaker } = create();
    breaker.failed(0);
    breaker.failed(600);
    breaker.succeeded();
    breaker.failed(1200);
    expect(breaker.state(1200)).toBe('closed');
  });

  it('opens at once for an event that could be kept nowhere', () => {
    const { breaker, changes } = create();
    breaker.trip(0, 'spool_full');
    expect(breaker.admit(0)).toBe('no');
    expect(changes).toMatchObject([{ state: 'open', reason: 'spool_full' }]);
  });
});

describe('an open breaker', () => {
  it('half-opens by itself and lets one event through, and no other', () => {
    const { breaker } = create();
    breakDown(breaker);
    expect(breaker.state(1699)).toBe('open');
    expect(breaker.state(1700)).toBe('half_open');
    expect([breaker.admit(1700), breaker.admit(1701), breaker.admit(1702)]).toEqual([
      'probe',
      'no',
      'no',
    ]);
  });

  it('closes with an ack and says how many were refused', () => {
    const { breaker, changes } = create();
    breakDown(breaker);
    breaker.admit(1300);
    breaker.admit(1301);
    breaker.admit(1800);
    breaker.succeeded();
    expect(breaker.admit(1801)).toBe('yes');
    expect(changes.at(-1)).toEqual({ state: 'closed', reason: 'repeated_failures', refused: 2 });
  });

  it('stays open for another while after a probe that failed', () => {
    const { breaker, changes } = create();
    breakDown(breaker);
    expect(breaker.admit(1700)).toBe('probe');
    breaker.failed(1900);
    expect(breaker.admit(2399)).toBe('no');
    expect(breaker.admit(2400)).toBe('probe');
    expect(changes).toHaveLength(1);
  });

  it('lets another event try when nothing is heard of the first', () => {
    const { breaker } = create();
    breakDown(breaker);
    expect(breaker.admit(1700)).toBe('probe');
    expect(breaker.admit(2199)).toBe('no');
    expect(breaker.admit(2200)).toBe('probe');
  });
});

it('whatever happens: never open without a failure since the last ack, never stuck, told once a change', () => {
  const step = fc.record({
    waitMs: fc.nat(800),
    what: fc.constantFrom('ask', 'succeed', 'fail', 'trip'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { breaker, changes } = create();
      let nowMs = 0;
      let troubles = 0;
      for (const { waitMs, what } of steps) {
        nowMs += waitMs;
        if (what === 'ask') breaker.admit(nowMs);
        if (what === 'succeed') breaker.succeeded();
        if (what === 'fail') breaker.failed(nowMs);
        if (what === 'trip') breaker.trip(nowMs, 'spool_full');
        troubles = what === 'succeed' ? 0 : troubles + Number(what === 'fail' || what === 'trip');
        if (troubles === 0) expect(breaker.state(nowMs)).toBe('closed');
        if (what === 'trip') expect(breaker.state(nowMs)).toBe('open');
      }
      expect(changes.map(({ state }) => state)).toEqual(
        changes.map((_, index) => (index % 2 === 0 ? 'open' : 'closed')),
      );
      // Left alone it takes an event again.
      expect(breaker.admit(nowMs + LIMITS.coolDownMs)).not.toBe('no');
    }),
  );
});
