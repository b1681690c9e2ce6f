/**
 * Text written to keep the redactor busy costs time in proportion to its length, not its square.
 */
import { describe, expect, test } from 'vitest';
import { eventWith, redactor } from './support.ts';

/** Quadratic patterns took seconds of these; linear ones take milliseconds. */
const CPU_MS_MAX = 1500;
const LENGTH = 60_000;

describe('redaction of hostile text takes linear time', () => {
  test.each([
    ...['4', '4 ', '4111 ', '078-05-', '\uff14', '4\u200b', '%34', '\\u0034'],
    ...['a', 'a.', 'a@', 'a@b.co ', 'a=', 'a="', 'pin is ', 'sid=', 'a=b; ', 'cookie: '],
    ...['eyJ', 'eyJaaaaa.', 'MTEx', 'NDExMTEx ', '-----BEGIN PRIVATE KEY-----', '-----BEGIN A '],
    ...['bearer ', 'a://', 'a://:', 'tok_', '[redacted:', 'DE89 3704 ', '-', 'password '],
  ])('%j, over and over', (piece) => {
    const text = piece.repeat(Math.floor(LENGTH / piece.length));
    const before = process.cpuUsage();
    redactor.redactEvent(eventWith({ text, tail: `${text};path=@:` }));
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(CPU_MS_MAX);
  });
});
