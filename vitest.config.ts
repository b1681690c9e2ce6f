import { defineConfig, type TestProjectConfiguration, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { DEADLINE_MS } from './test/support/eventually.ts';

/** Folders with the tests that take longest; what begins late and takes long keeps one core idle. */
const LONG_FIRST = ['/test/e2e/crash', '/test/e2e/', '/test/fault/', '/test/store/'];

/** Tests that start programs and servers: more of them at once than cores would only starve one another. */
const PROCESSES = ['e2e', 'fault', 'store', 'cli', 'examples', 'property'].map(
  (folder) => `test/${folder}/**/*.test.ts`,
);

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

interface Group {
  readonly include: string[];
  readonly exclude: string[];
  readonly maxWorkers: number;
}

function project(name: string, groupOrder: number, group: Group): TestProjectConfiguration {
  return {
    test: {
      name,
      ...group,
      // Far above what a slow machine takes: only a failure waits that long.
      testTimeout: 180_000,
      hookTimeout: 180_000,
      expect: { poll: { timeout: DEADLINE_MS } },
      sequence: { groupOrder },
    },
  };
}

const config: ViteUserConfig = defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    globalSetup: ['test/support/cluster-template.ts'],
    projects: [
      project('processes', 0, { include: PROCESSES, exclude: [], maxWorkers: 2 }),
      // These wait for a disk, a timer or a peer most of the time.
      project('rest', 1, {
        include: ['test/**/*.test.ts'],
        exclude: ['test/long/**', 'test/acceptance/**', ...PROCESSES],
        maxWorkers: 3,
      }),
    ],
  },
});

export default config;
