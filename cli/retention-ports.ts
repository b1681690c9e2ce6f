/** What a plan and a purge need of the world: the store, the agent's files, the running agent. */
import type { ClientBase } from 'pg';
import { provePurge, signedSizes } from '../agent/checkpoint/purge-proof.ts';
import { readSources } from '../agent/checkpoint/proving.ts';
import type { OwnStream } from '../agent/retain/plan.ts';
import type { PurgePorts } from '../agent/retain/purge.ts';
import type { AgentStatus, CheckpointStatus } from '../agent/status-ports.ts';
import { ok } from '../schemas/result.ts';
import { askAgent } from './options.ts';
import { recordOperation } from './store-access.ts';

/** The ports of the agent in a data directory, over a connection of the retention role. */
export function purgePorts(store: ClientBase, dataDir: string): PurgePorts {
  return {
    store,
    ownStreams: async () => {
      const asked = await askAgent(dataDir, 'GET', '/status');
      if (!asked.ok) return asked;
      const { append, checkpoints } = asked.value as AgentStatus;
      const sources = await readSources(dataDir);
      if (!sources.ok) return sources;
      const quorum = quorumOf(checkpoints);
      const own = new Map<string, OwnStream>();
      for (const { stream, next_seq } of append.streams)
        own.set(stream, { next: next_seq, ...(await signedSizes(sources.value, stream, quorum)) });
      return ok(own);
    },
    prove: async (stream, preview) => {
      const sources = await readSources(dataDir);
      return sources.ok ? provePurge(sources.value, stream, preview) : sources;
    },
    record: (operation) => recordOperation(dataDir, operation),
    pause: (ms) => new Promise((done) => setTimeout(done, ms)),
    nowMs: Date.now,
  };
}

/** How many anchors have to have a checkpoint; while the agent does not say, nothing is anchored. */
function quorumOf(status: CheckpointStatus | null): number {
  if (status === null || (status.state !== 'running' && status.state !== 'contradicted'))
    return Infinity;
  return status.anchors?.quorum ?? 0;
}
