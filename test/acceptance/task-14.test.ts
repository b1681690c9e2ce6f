/** Task 14: signatures. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(14);
