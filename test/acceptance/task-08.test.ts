/** Task 8: the transactional outbox. Its criteria are of a later step, and in the table as such. */
import { describeTask } from './criterion.ts';

describeTask(8);
