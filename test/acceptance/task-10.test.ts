/** Task 10: one request across audit, logs and trace. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(10);
