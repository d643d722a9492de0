import type { Task } from "../../core/task.ts";
import type { NewTask } from "../../redis/task-queue.ts";
import { INLINE_BYTES } from "../../redis/body-store.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import { asEntryId } from "../../redis/connection/resp.ts";
import type { Stores } from "../../redis/stores.ts";
import { encodeTask } from "../../wire/task-codec.ts";

export interface EnqueuerOptions {
  readonly connection: Pick<Connection, "sharded">;
  readonly stores: Pick<Stores, "bodies" | "doorbells" | "queue" | "replies">;
}

/** A task on its way to Redis. */
interface Enqueued extends NewTask {
  /** The task, when its body does not travel in the record. */
  readonly large: Task | undefined;
  readonly settle: PromiseWithResolvers<string>;
}

/** One call keeps Redis below a millisecond. */
const TASKS_PER_CALL = 64;
const BYTES_PER_CALL = 1024 * 1024;

/**
 * Makes tasks durable. All tasks of one event-loop turn share a call; nothing waits for more to come. Large bodies are
 * sent before it, so that a worker that is woken finds everything.
 */
export class Enqueuer {
  readonly #connection: Pick<Connection, "sharded">;
  readonly #stores: EnqueuerOptions["stores"];
  #waiting: Enqueued[] = [];
  #bytes = 0;
  /** True when a flush follows at the end of this turn of the event loop. */
  #isScheduled = false;

  constructor(options: EnqueuerOptions) {
    this.#connection = options.connection;
    this.#stores = options.stores;
  }

  /**
   * Resolves with the queue entry when Redis has the task; rejects with `redis_down` when that is not certain.
   * @param life ms until its deadline
   */
  enqueue(task: Task, model: string, life: number = task.deadline - task.createdAt): Promise<string> {
    const settle = Promise.withResolvers<string>();
    const inline = task.body.length <= INLINE_BYTES;
    const record = encodeTask(task, inline);
    this.#waiting.push({ id: task.id, model, life, record, large: inline ? undefined : task, settle });
    this.#bytes += record.length;
    if (this.#waiting.length >= TASKS_PER_CALL || this.#bytes >= BYTES_PER_CALL) this.#flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(() => {
        this.#isScheduled = false;
        this.#flush();
      });
    }
    return settle.promise;
  }

  #flush(): void {
    const tasks = this.#waiting;
    if (tasks.length === 0) return;
    this.#waiting = [];
    this.#bytes = 0;
    if (this.#connection.sharded) this.#sendInSteps(tasks);
    else void this.#sendTogether(tasks);
  }

  async #sendTogether(tasks: readonly Enqueued[]): Promise<void> {
    const bodies = tasks.map((one) => this.#putBody(one));
    // Redis may refuse one long before the call is answered.
    for (const body of bodies) body?.catch(() => undefined);
    try {
      const entries = await this.#stores.queue.enqueue(tasks);
      for (const [index, { settle }] of tasks.entries()) {
        // A task counts as queued when its body is there as well.
        const conclude = (): void => settleWith(settle, entries[index]);
        const body = bodies[index];
        if (body === undefined) conclude();
        else body.then(conclude, settle.reject);
      }
    } catch (error) {
      for (const { settle } of tasks) settle.reject(error);
    }
  }

  #putBody({ large, life }: Enqueued): Promise<void> | undefined {
    return large === undefined ? undefined : this.#stores.bodies.put(large, life);
  }

  /** On a Redis Cluster the keys are on different nodes: each step waits for the one before. */
  #sendInSteps(tasks: readonly Enqueued[]): void {
    const replies = this.#stores.replies.open(tasks);
    for (const one of tasks) {
      this.#sendStepped(one, replies).then(one.settle.resolve, one.settle.reject);
    }
  }

  async #sendStepped(one: Enqueued, replies: Promise<void>): Promise<string> {
    const { model, record } = one;
    await Promise.all([replies, this.#putBody(one)]);
    const entry = await this.#stores.queue.add(model, record);
    // The workers' own polls of the queue make up for a lost token.
    this.#stores.doorbells.ring(model, 1).catch(() => undefined);
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
