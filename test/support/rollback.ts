/** What the tests of rollbacks and clones share: some records, and what holds once an agent has noticed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { cursorPath } from '../../agent/deliver/cursor.ts';
import { readKnownOf } from '../../cli/verify-known.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { verifyStore } from '../../store/verify-store.ts';
import type { AgentProcess } from './agent-process.ts';
import { eventually } from './eventually.ts';
import { startGoodClient } from './good-client.ts';
import { readRecords, type Acked } from './outcome.ts';

/** Records so many events and a few more; all MUST be taken. */
export async function recordSome(agent: AgentProcess, count = 20): Promise<readonly Acked[]> {
  const client = await startGoodClient(agent);
  await client.reached(count);
  const { acked, failed } = await client.stop();
  expect(failed).toEqual([]);
  return acked;
}

/** Resolves once what an agent has is delivered and signed, and its cursors on disk say so: a stop has little time for that. */
export async function secured(agent: AgentProcess): Promise<void> {
  await agent.delivered();
  await eventually(async () => {
    const { append, checkpoints, sinks } = await agent.status();
    expect(checkpoints?.lag_records).toBe(0);
    for (const { name } of sinks)
      expect(JSON.parse(await readFile(cursorPath(agent.dir, name), 'utf8'))).toMatchObject({
        next: append.records,
      });
  });
}

/** Incarnations of the streams that they went into. */
export const incarnationsOf = (acked: readonly Acked[]): Set<string> =>
  new Set(acked.map(({ stream }) => stream.split('/')[2] ?? ''));

/** Events that the agent recorded about the rollback. */
async function rollbackEvents(dir: string): Promise<readonly unknown[]> {
  return (await readRecords(join(dir, 'ledger')))
    .filter(({ event }) => event.event.action === 'ledger.rolled_back')
    .map(({ event }) => event.metadata['reason']);
}

/**
 * What holds after every rollback that was noticed; records some more, and returns those. `isSigned`: the checkpoints of what is missing are still there, so that the verifier says what it is.
 */
export async function expectNoticed(
  agent: AgentProcess,
  source: string,
  isSigned = false,
): Promise<readonly Acked[]> {
  const { rollback } = await agent.status();
  expect(rollback).toMatch(/^rollback: /);
  expect(rollback).toContain(source);
  expect(agent.output()).toContain('the ledger is older than what has left it');
  const metrics = await (await fetch(`${agent.adminUrl}/metrics`)).text();
  expect(metrics).toMatch(/^audit_ledger_rollbacks 1$/m);
  const after = await recordSome(agent);
  await agent.delivered();
  expect((await agent.status()).sinks.map(({ state }) => state)).not.toContain('stopped');
  expect(await rollbackEvents(agent.dir)).toEqual([rollback]);
  const known = await readKnownOf({}, agent.dir);
  if (!known.ok) throw new Error(known.error);
  const verified = await verifyLedger(agent.dir, { known: known.value });
  expect(verified.verdict).toBe(isSigned ? 'broken' : 'intact');
  const kinds = new Set(verified.findings.map(({ kind }) => kind));
  expect([...kinds]).toEqual(isSigned ? ['truncated'] : []);
  expect(verified.notes.join('\n')).toMatch(/began after a rollback: /);
  return after;
}

/** What a store holds is whole. */
export async function expectIntact(url: string): Promise<void> {
  expect(await verifyStore({ url })).toMatchObject({ verdict: 'intact', findings: [] });
}
