/** Task 21: a query tool for auditors. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(21);
