/** `/keys` on the admin socket: which keys there are, and how another one takes over. For the owner only. */
import type { KeyPorts, KeyReport } from './key-ports.ts';
import type { KeyRing } from './key-ring.ts';
import { faultAnswer, jsonAnswer, type AdminAnswer } from './observe/admin-answer.ts';
import type { Route, Routes } from './observe/admin-routes.ts';
import type { Result } from '../schemas/result.ts';

/** `/keys`, `/keys/prepare`, `/keys/rotate`, `/keys/revoke`. */
export function createKeyRoutes(ring: KeyRing, ports: KeyPorts): Routes {
  return new Map<string, Route>([
    [
      '/keys',
      { method: 'GET', answer: async () => jsonAnswer(200, printable(await ring.report())) },
    ],
    ['/keys/prepare', { method: 'POST', answer: async () => answerOf(await ring.prepare()) }],
    ['/keys/rotate', { method: 'POST', answer: async () => answerOf(await ring.rotate(ports)) }],
    [
      '/keys/revoke',
      {
        method: 'POST',
        answer: async (query) =>
          answerOf(await ring.revoke(query.get('key') ?? '', query.get('reason') ?? '', ports)),
      },
    ],
  ]);
}

/** A report as JSON can hold it: sizes as text. */
export type PrintedReport = Omit<KeyReport, 'windows'> & {
  readonly windows: readonly {
    readonly vkey: string;
    readonly origin: string;
    readonly from: string;
    readonly to: string | null;
  }[];
};

/** Sizes may be beyond 2^53. */
export function printable({ windows, ...report }: KeyReport): PrintedReport {
  return {
    ...report,
    windows: windows.map(({ from, to, ...window }) => ({
      ...window,
      from: String(from),
      to: to === null ? null : String(to),
    })),
  };
}

function answerOf(report: Result<KeyReport, string>): AdminAnswer {
  if (report.ok) return jsonAnswer(200, printable(report.value));
  return faultAnswer(409, 'refused', report.error);
}
