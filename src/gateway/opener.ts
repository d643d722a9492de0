import type { Task } from "../core/task.ts";
import { INLINE_BYTES, putBody } from "../redis/body.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { openReplies } from "../redis/reply-stream.ts";
import { enqueue, ring } from "../redis/task-stream.ts";
import { encodeTask } from "../wire/task-codec.ts";

interface Opening {
  readonly task: Task;
  readonly model: string;
  readonly life: number;
  readonly settle: PromiseWithResolvers<string>;
}

/**
 * Makes tasks durable. All tasks of one event-loop turn share one script call for their reply streams and one
 * push per doorbell; nothing waits for more to come. Order on the connection: reply stream, body, queue, doorbell,
 * so that a worker that is woken finds everything.
 */
export class Opener {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #now: () => number;
  #waiting: Opening[] = [];

  constructor(options: { connection: Connection; keys: Keys; now: () => number }) {
    this.#connection = options.connection;
    this.#keys = options.keys;
    this.#now = options.now;
  }

  /** Resolves with the queue entry when Redis has the task; rejects with `redis_down` when that is not certain. */
  async open(task: Task, model: string): Promise<string> {
    const settle = Promise.withResolvers<string>();
    this.#waiting.push({ task, model, life: task.deadline - this.#now(), settle });
    if (this.#waiting.length === 1) {
      setImmediate(() => {
        this.#flush();
      });
    }
    return settle.promise;
  }

  #flush(): void {
    const openings = this.#waiting;
    this.#waiting = [];
    const replies = openReplies(
      this.#connection,
      this.#keys,
      openings.map((opening) => ({ id: opening.task.id, life: opening.life })),
    );
    if (this.#connection.sharded) {
      for (const opening of openings) void settleWith(opening.settle, this.#sendInSteps(opening, replies));
      return;
    }
    const bells = new Map<string, number>();
    for (const opening of openings) {
      void settleWith(opening.settle, this.#send(opening, replies));
      bells.set(opening.model, (bells.get(opening.model) ?? 0) + 1);
    }
    for (const [model, count] of bells) this.#ring(model, count);
  }

  /** On a Redis Cluster the keys are on different nodes: each step waits for the one before. */
  async #sendInSteps({ task, model, life }: Opening, replies: Promise<void>): Promise<string> {
    const inline = task.body.length <= INLINE_BYTES;
    const body = inline ? undefined : putBody(this.#connection, this.#keys, task, life);
    await Promise.all([replies, body]);
    const entry = await enqueue(this.#connection, this.#keys, model, encodeTask(task, inline));
    this.#ring(model, 1);
    return entry;
  }

  #ring(model: string, count: number): void {
    // A lost token is healed by the workers' own looks at the queue.
    ring(this.#connection, this.#keys, model, count).catch(() => undefined);
  }

  async #send(opening: Opening, replies: Promise<void>): Promise<string> {
    const { task, model, life } = opening;
    const inline = task.body.length <= INLINE_BYTES;
    const body = inline ? undefined : putBody(this.#connection, this.#keys, task, life);
    const entry = enqueue(this.#connection, this.#keys, model, encodeTask(task, inline));
    const [id] = await Promise.all([entry, replies, body]);
    return id;
  }
}

async function settleWith(settle: PromiseWithResolvers<string>, work: Promise<string>): Promise<void> {
  try {
    settle.resolve(await work);
  } catch (error) {
    settle.reject(error);
  }
}
