import type { Task } from "../core/task.ts";
import { INLINE_BYTES, putBody } from "../redis/body.ts";
import type { Connection } from "../redis/connection.ts";
import { enqueueTogether } from "../redis/enqueue.ts";
import type { NewTask } from "../redis/enqueue.ts";
import type { Keys } from "../redis/keys.ts";
import { asEntryId } from "../redis/replies.ts";
import { openReplies } from "../redis/reply-stream.ts";
import { enqueue, ring } from "../redis/task-stream.ts";
import { encodeTask } from "../wire/task-codec.ts";

interface Opening extends NewTask {
  /** A body that does not travel in the record. */
  readonly large: Task | undefined;
  readonly settle: PromiseWithResolvers<string>;
}

/** One call keeps Redis below a millisecond. */
const TASKS_PER_CALL = 64;
const BYTES_PER_CALL = 1024 * 1024;

/**
 * Makes tasks durable. All tasks of one event-loop turn share a call; nothing waits for more to come. Large bodies go
 * before it, so that a worker that is woken finds everything.
 */
export class Opener {
  readonly #connection: Connection;
  readonly #keys: Keys;
  #waiting: Opening[] = [];
  #bytes = 0;
  #scheduled = false;

  constructor(options: { connection: Connection; keys: Keys }) {
    this.#connection = options.connection;
    this.#keys = options.keys;
  }

  /**
   * Resolves with the queue entry when Redis has the task; rejects with `redis_down` when that is not certain.
   * @param life ms until its deadline
   */
  open(task: Task, model: string, life: number = task.deadline - task.createdAt): Promise<string> {
    const settle = Promise.withResolvers<string>();
    const inline = task.body.length <= INLINE_BYTES;
    const record = encodeTask(task, inline);
    this.#waiting.push({ id: task.id, model, life, record, large: inline ? undefined : task, settle });
    this.#bytes += record.length;
    if (this.#waiting.length >= TASKS_PER_CALL || this.#bytes >= BYTES_PER_CALL) this.#flush();
    else this.#schedule();
    return settle.promise;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const openings = this.#waiting;
    if (openings.length === 0) return;
    this.#waiting = [];
    this.#bytes = 0;
    if (this.#connection.sharded) this.#sendInSteps(openings);
    else void this.#sendTogether(openings);
  }

  async #sendTogether(openings: readonly Opening[]): Promise<void> {
    const bodies = openings.map((opening) => this.#putBody(opening));
    // Redis may refuse one long before the call is answered.
    for (const body of bodies) body?.catch(() => undefined);
    try {
      const entries = await enqueueTogether(this.#connection, this.#keys, openings);
      for (const [index, { settle }] of openings.entries()) {
        // A task counts as queued when its body is there as well.
        const conclude = (): void => settleWith(settle, entries[index]);
        const body = bodies[index];
        if (body === undefined) conclude();
        else body.then(conclude, settle.reject);
      }
    } catch (error) {
      for (const { settle } of openings) settle.reject(error);
    }
  }

  #putBody({ large, life }: Opening): Promise<void> | undefined {
    return large === undefined ? undefined : putBody(this.#connection, this.#keys, large, life);
  }

  /** On a Redis Cluster the keys are on different nodes: each step waits for the one before. */
  #sendInSteps(openings: readonly Opening[]): void {
    const replies = openReplies(this.#connection, this.#keys, openings);
    for (const opening of openings) {
      this.#sendStepped(opening, replies).then(opening.settle.resolve, opening.settle.reject);
    }
  }

  async #sendStepped(opening: Opening, replies: Promise<void>): Promise<string> {
    const { model, record } = opening;
    await Promise.all([replies, this.#putBody(opening)]);
    const entry = await enqueue(this.#connection, this.#keys, model, record);
    // A lost token is healed by the workers' own looks at the queue.
    ring(this.#connection, this.#keys, model, 1).catch(() => undefined);
    return entry;
  }
}

function settleWith(settle: PromiseWithResolvers<string>, entry: unknown): void {
  if (entry instanceof Error) {
    settle.reject(entry);
    return;
  }
  try {
    settle.resolve(asEntryId(entry));
  } catch (error) {
    settle.reject(error);
  }
}
