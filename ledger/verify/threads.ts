/** Threads that each answer one task after the other, seen from outside; and what runs in such a thread. */
import { parentPort, Worker } from 'node:worker_threads';
import { messageOf } from '../../schemas/result.ts';

export interface Threads<Task, Answer> {
  /** Has the task done by the thread that has the least to do. Rejects with why it could not be. */
  run(task: Task): Promise<Answer>;
  /** Tasks that it is well to have under way at once. */
  readonly ahead: number;
  close(): Promise<void>;
}

interface Waiting<Task, Answer> {
  readonly task: Task;
  settle(answer: Answer): void;
  fail(error: Error): void;
}

/** What a thread sends: the answer, or why there is none. */
type Message<Answer> = { readonly answer: Answer } | { readonly failure: string };

/** A thread has its next task before it has finished one. */
const AHEAD_PER_THREAD = 2;
const ENDED = 'a thread of the verifier has ended';

/** Starts so many threads of a compiled module, which MUST call `serveThread`. */
export function startThreads<Task, Answer>(
  count: number,
  module: URL,
  workerData: unknown,
): Threads<Task, Answer> {
  const threads = Array.from({ length: count }, () => {
    const worker = new Worker(module, { workerData, name: 'verify' });
    const waiting: Waiting<Task, Answer>[] = [];
    const thread = { worker, waiting, isEnded: false };
    const failAll = (error: Error): void => {
      for (const one of waiting.splice(0)) one.fail(error);
    };
    worker.on('message', (message: Message<Answer>) => {
      const one = waiting.shift();
      if ('answer' in message) one?.settle(message.answer);
      else one?.fail(new Error(message.failure));
    });
    worker.on('error', failAll);
    worker.on('exit', () => {
      thread.isEnded = true;
      failAll(new Error(ENDED));
    });
    return thread;
  });

  const idlest = (): (typeof threads)[number] | undefined =>
    threads.toSorted((one, other) => one.waiting.length - other.waiting.length)[0];

  return {
    ahead: count * AHEAD_PER_THREAD,
    run: (task) =>
      new Promise((settle, fail) => {
        const thread = idlest();
        // One that has ended answers nothing more.
        if (thread === undefined || thread.isEnded) {
          fail(new Error(ENDED));
          return;
        }
        thread.waiting.push({ task, settle, fail });
        thread.worker.postMessage(task);
      }),
    close: async () => {
      await Promise.all(threads.map(({ worker }) => worker.terminate()));
    },
  };
}

/** In a thread: answers each task, in the order in which they came. */
export function serveThread<Task, Answer>(answer: (task: Task) => Answer | Promise<Answer>): void {
  const send = (message: Message<Answer>): void => parentPort?.postMessage(message);
  let last = Promise.resolve();
  parentPort?.on('message', (task: Task) => {
    // Begun at once, so that what one waits for can be on its way while another is judged.
    const begun = Promise.allSettled([begin(answer, task)]);
    last = last.then(async () => {
      const [said] = await begun;
      send(
        said.status === 'fulfilled' ? { answer: said.value } : { failure: messageOf(said.reason) },
      );
    });
  });
}

async function begin<Task, Answer>(
  answer: (task: Task) => Answer | Promise<Answer>,
  task: Task,
): Promise<Answer> {
  return answer(task);
}
