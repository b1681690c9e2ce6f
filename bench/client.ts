/** A client process of a benchmark: opens its clients, waits for the word, loads, reports. */
import { runLoad, type LoadOptions } from './load.ts';
import { openTarget, type TargetSpec } from './targets.ts';

interface Job {
  readonly target: TargetSpec;
  readonly clients: number;
  readonly load: LoadOptions;
}

const WARM_UP_SECONDS = 2;

async function work(job: Job): Promise<void> {
  const targets = await Promise.all(
    Array.from({ length: job.clients }, () => openTarget(job.target)),
  );
  // Unmeasured load first: code that is still being compiled, here or there, says little.
  const mode = job.load.mode === 'pipeline' ? 'pipeline' : 'await';
  const warmUp: LoadOptions = { ...job.load, mode, seconds: WARM_UP_SECONDS };
  await Promise.all(targets.map((target) => runLoad(target, warmUp)));
  process.send?.({ ready: true });
  await new Promise((go) => process.once('message', go));
  const cpuBefore = process.cpuUsage();
  const results = await Promise.all(targets.map((target) => runLoad(target, job.load)));
  const { user, system } = process.cpuUsage(cpuBefore);
  // A long report takes several writes: the channel must stay open until it has left.
  await new Promise((sent) =>
    process.send?.({ results, cpuSeconds: (user + system) / 1e6 }, undefined, {}, sent),
  );
  await Promise.all(targets.map((target) => target.close()));
  process.disconnect();
}

process.once('message', (job: Job) => {
  work(job).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
