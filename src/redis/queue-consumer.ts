import type { Connection } from "./connection/connection.ts";
import { asArray, asEntries } from "./connection/resp.ts";
import { Doorbells } from "./doorbells.ts";
import type { Wait } from "./doorbells.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { toTasks } from "./task-queue.ts";
import type { QueuedTask } from "./task-queue.ts";
import { run, TAKE } from "./scripts.ts";
import { TaskQueue } from "./task-queue.ts";
import { append } from "../core/long-lists.ts";

/** A wait for tasks and the claim that follows it. `models` are in the order of service, and not empty. */
export interface Take extends Wait {
  readonly consumer: string;
  /** True reads all queues on a Redis Cluster, each by a command of its own. False reads the queue that rang. */
  readonly all?: boolean;
}

function asFailure(error: unknown): { readonly error: unknown } {
  return { error };
}

/** Claims tasks of several queues as they arrive. */
export class QueueConsumer {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #queue: TaskQueue;
  readonly #doorbells: Doorbells;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
    this.#queue = new TaskQueue(connection, keys);
    this.#doorbells = new Doorbells(connection, keys);
  }

  /** Waits for a doorbell, then claims tasks. It blocks, so it needs a connection of its own. */
  async take(options: Take): Promise<QueuedTask[]> {
    return this.#connection.sharded ? this.#takeInSteps(options) : this.#takeAtOnce(options);
  }

  /**
   * Sends both commands at once. Redis runs the second when the first returns, which saves a round trip (0.1 ms).
   * After a wait without a token the read finds tasks whose token was lost.
   */
  async #takeAtOnce(options: Take): Promise<QueuedTask[]> {
    const { models, credits } = options;
    const woken = this.#doorbells.wait(options);
    const claimed =
      models.length === 1
        ? this.#queue.claim({ ...options, model: models[0] ?? "", count: credits })
        : this.#takeMany(options);
    const [bell, tasks] = await Promise.all([woken.then(() => undefined, asFailure), claimed]);
    // Claimed tasks are returned. The next call meets a lasting error again.
    if (bell !== undefined && tasks.length === 0) throw bell.error;
    return tasks;
  }

  /**
   * On a cluster doorbells and queues are on different nodes, and no script reaches several queues.
   * Reads the queue that rang first. Reads the others when none rang, or when all are wanted.
   */
  async #takeInSteps(options: Take): Promise<QueuedTask[]> {
    const { models, credits, all = false } = options;
    const rung = this.#doorbells.rungBy(await this.#doorbells.wait(options), models);
    const others = all || rung === undefined ? models.filter((model) => model !== rung) : [];
    const tasks: QueuedTask[] = [];
    try {
      for (const model of rung === undefined ? others : [rung, ...others]) {
        const count = credits - tasks.length;
        if (count > 0) append(tasks, await this.#queue.claim({ ...options, model, count }));
      }
    } catch (error) {
      // Tasks claimed before are returned. The next call meets a lasting error again.
      if (tasks.length === 0) throw error;
    }
    return tasks;
  }

  async #takeMany(options: Take): Promise<QueuedTask[]> {
    const queues = options.models.map((model) => this.#keys.queue(model));
    const reply = await run(this.#connection, TAKE, queues, [
      GROUP,
      options.consumer,
      String(options.credits),
    ]);
    return asArray(reply).flatMap((item) => {
      const [index, entries] = asArray(item);
      return toTasks(options.models[Number(index) - 1] ?? "", asEntries(entries));
    });
  }
}
