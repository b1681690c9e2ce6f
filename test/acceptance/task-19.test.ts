/** Task 19: controls mapped to regimes. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(19);
