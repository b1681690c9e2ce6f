import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { DEADLINE_MS } from './test/support/eventually.ts';

/** `npm run acceptance`: the tasks and their criteria; `npm test` leaves them out. */
const config: ViteUserConfig = defineConfig({
  test: {
    globalSetup: ['test/support/cluster-template.ts'],
    include: ['test/acceptance/**/*.test.ts'],
    // Far above what a slow machine takes: only a failure waits that long.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: DEADLINE_MS } },
    maxWorkers: 2,
    // What is built runs as it is.
    server: { deps: { external: [/\/dist\//] } },
  },
});

export default config;
