import { defineConfig, type TestProjectConfiguration, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { DEADLINE_MS } from './test/support/eventually.ts';

/** What takes longest; begun late, it would keep one core idle at the end. */
const LONG_FIRST = [
  '/test/auditor/web/browser',
  ...['/test/e2e/crash', '/test/fault/rollback', '/test/e2e/', '/test/sdk/outbox', '/test/fault/'],
  ...['/test/sdk/package', '/test/sdk/spool-hang', '/test/store/', '/test/agent/deliver/'],
  ...['/test/cli/erase', '/test/cli/', '/test/attacks/', '/test/auditor/'],
];

/**
 * Tests that change what is the process's own (environment, warnings), or look at its memory, time, open files or loaded modules,
 * have one to themselves. All others share it, with the modules and the agents' processes that it has loaded.
 */
const ALONE = [
  ...['test/auditor/join/logs', 'test/schemas/byte-gatherer', 'test/agent/append/failure'],
  ...['test/sdk/spool-writer', 'test/fault/spool-matrix', 'test/agent/observe/traces'],
].map((name) => `${name}.test.ts`);
const OTHERWISE = ['test/long/**', 'test/acceptance/**'];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG_FIRST.findIndex((part) => moduleId.includes(part));
      return at === -1 ? LONG_FIRST.length : at;
    };
    return files.toSorted(
      (one, other) => rank(one) - rank(other) || (one.moduleId < other.moduleId ? -1 : 1),
    );
  }
}

function project(
  name: string,
  group: Pick<NonNullable<ViteUserConfig['test']>, 'include' | 'exclude' | 'isolate'>,
): TestProjectConfiguration {
  return {
    test: {
      name,
      ...group,
      // One more than cores: each test waits now and then for a disk, a timer or a peer.
      maxWorkers: 3,
      // Far above what a slow machine takes: only a failure waits that long.
      testTimeout: 180_000,
      hookTimeout: 180_000,
      expect: { poll: { timeout: DEADLINE_MS } },
    },
  };
}

const config: ViteUserConfig = defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    globalSetup: ['test/support/cluster-template.ts'],
    projects: [
      project('sharing', {
        include: ['test/**/*.test.ts'],
        exclude: [...OTHERWISE, ...ALONE],
        isolate: false,
      }),
      project('alone', { include: ALONE }),
    ],
  },
});

export default config;
