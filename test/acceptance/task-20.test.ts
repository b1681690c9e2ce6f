/** Task 20: many tenants, no event dropped. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(20);
