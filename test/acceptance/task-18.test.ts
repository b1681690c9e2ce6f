/** Task 18: an investigation over the whole trail. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(18);
