/**
 * Criteria as tests. criteria.json names them all; a test file gives each of its task's criteria a
 * body under the same name. One that is due and has no body fails; one of a later step is a todo.
 * scripts/acceptance.mjs prints both in its table.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** What was measured or counted; a column of the table. */
    note?: string;
  }
}

interface TaskCriteria {
  readonly task: number;
  readonly title: string;
  readonly criteria: readonly string[];
  readonly stretch: readonly string[];
  /** Ids (`8.2`: second of task 8, stretch goals counted on) that a later step builds. */
  readonly later?: 'all' | readonly string[];
}

/** Tells the table what was measured. */
export type Say = (note: string) => void;
export type Criterion = (name: string, body: (say: Say) => Promise<void> | void) => void;

const TASKS = JSON.parse(
  readFileSync(join(import.meta.dirname, 'criteria.json'), 'utf8'),
) as readonly TaskCriteria[];

/** Declares the tests of one task; every criterion that is due MUST get a body, and no other. */
export function describeTask(
  number: number,
  declare: (criterion: Criterion) => void = () => undefined,
): void {
  const task = TASKS.find((one) => one.task === number);
  if (task === undefined) throw new Error(`criteria.json has no task ${number}`);
  const names = [...task.criteria, ...task.stretch];
  const isLater = (name: string): boolean =>
    task.later === 'all' || (task.later ?? []).includes(`${number}.${names.indexOf(name) + 1}`);
  const due = new Set(names.filter((name) => !isLater(name)));

  describe(`Task ${number}: ${task.title}`, () => {
    declare((name, body) => {
      if (!due.delete(name))
        throw new Error(`"${name}" is no criterion of task ${number}, or twice`);
      test(name, ({ task: run }) => body((note) => (run.meta.note = note)));
    });
    for (const name of due) {
      test(name, () => {
        throw new Error('the criterion is due and has no test');
      });
    }
    for (const name of names.filter(isLater)) test.todo(name);
  });
}
