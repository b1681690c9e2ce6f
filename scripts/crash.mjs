// Kills the agent again and again under load, and looks for every acked event afterwards.
//   npm run crash -- [--kills N] [--seed N]
import { parseArgs } from 'node:util';
import { startVitest } from 'vitest/node';

const number = (name, text) => {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return text;
  console.error(
    `crash: --${name} must be a number above 0. Usage: npm run crash -- [--kills N] [--seed N]`,
  );
  process.exit(2);
};

let values;
try {
  ({ values } = parseArgs({ options: { kills: { type: 'string' }, seed: { type: 'string' } } }));
} catch (error) {
  console.error(`crash: ${error.message}. Usage: npm run crash -- [--kills N] [--seed N]`);
  process.exit(2);
}
for (const [name, text] of Object.entries(values))
  process.env[`SEALTRAIL_${name.toUpperCase()}`] = number(name, text);

const vitest = await startVitest('test', ['crash'], {
  config: 'vitest.long.config.ts',
  watch: false,
});
await vitest.close();
