#!/usr/bin/env node
/**
 * `sealtrail`: one binary, each command a thin file that is loaded when it is asked for. Exit codes: 0
 * done, 1 the answer is no (broken, refused, invalid), 2 the question could not be answered (usage,
 * unreadable, no agent); 141, as a shell has it, when whoever reads along has gone (`| head`).
 */
import { commandOf, runCommandLine } from './program.ts';

const words = process.argv.slice(2);

/** They go on without a reader, or end in a way of their own. */
const UNREAD = new Set(['agent', 'gateway', 'web', 'witness', 'tap', 'top']);
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (UNREAD.has(commandOf(words))) return;
    // No answer was given: anything but 0, and a disk that is full is no reader that has gone.
    if (error.code !== 'EPIPE') throw error;
    process.exit(141);
  });

await runCommandLine(words);
