import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { DEADLINE_MS } from './test/support/eventually.ts';

/** What takes hours, each with an npm script of its own (`npm run crash`); `npm test` leaves it out. */
const config: ViteUserConfig = defineConfig({
  test: {
    globalSetup: ['test/support/cluster-template.ts'],
    include: ['test/long/**/*.ts'],
    testTimeout: 0,
    hookTimeout: 180_000,
    expect: { poll: { timeout: DEADLINE_MS } },
    reporters: ['verbose'],
  },
});

export default config;
