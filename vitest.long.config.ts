import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** What takes hours, each with an npm script of its own (`npm run crash`); `npm test` leaves it out. */
const config: ViteUserConfig = defineConfig({
  test: {
    globalSetup: ['test/support/cluster-template.ts'],
    include: ['test/long/**/*.ts'],
    testTimeout: 0,
    hookTimeout: 60_000,
    reporters: ['verbose'],
  },
});

export default config;
