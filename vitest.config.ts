import { defineConfig, type ViteUserConfig } from 'vitest/config';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', 'test/acceptance/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more workers only make servers of different files starve one another.
    maxWorkers: 2,
  },
});

export default config;
