import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Folders with the tests that take longest; what begins late and takes long keeps one core idle. */
const LONG_FIRST = ['/test/e2e/crash', '/test/e2e/', '/test/fault/', '/test/store/'];

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

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'test/acceptance/**'],
    sequence: { sequencer: LongFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores, and half of the tests wait for a disk, a timer or a peer most of the time.
    maxWorkers: 3,
  },
});

export default config;
