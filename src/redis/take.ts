import type { Connection } from "./connection.ts";
import { GROUP } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { asArray, asEntries, asStreams, asText } from "./replies.ts";
import { run, TAKE } from "./scripts.ts";
import { toTasks } from "./task-stream.ts";
import type { QueuedTask } from "./task-stream.ts";
import { append } from "../core/long-lists.ts";

export interface Take {
  /** Model keys in the order they are to be served; not empty. */
  readonly models: readonly string[];
  readonly consumer: string;
  /** Most tasks to claim. */
  readonly credits: number;
  /** How long to wait for a doorbell, ms. */
  readonly waitMs: number;
  /** Key of the bell that ends this wait, see {@link endWait}. */
  readonly farewell?: string;
  /** On a Redis Cluster each queue is a look of its own: true looks also at those whose doorbell did not ring. */
  readonly all?: boolean;
}

/** Waits for a doorbell, then claims what is there. Needs a connection of its own, since it blocks. */
export async function take(connection: Connection, keys: Keys, options: Take): Promise<QueuedTask[]> {
  return connection.sharded ? takeInSteps(connection, keys, options) : takeAtOnce(connection, keys, options);
}

/**
 * Both commands are sent at once: Redis runs the second as soon as the first returns, which saves a round trip (0.1 ms
 * of the first token), and when the wait runs out the read heals a lost token.
 */
async function takeAtOnce(connection: Connection, keys: Keys, options: Take): Promise<QueuedTask[]> {
  const { models, credits } = options;
  const woken = listen(connection, keys, options);
  const claimed =
    models.length === 1
      ? takeOne(connection, keys, { ...options, model: models[0] ?? "", count: credits })
      : takeMany(connection, keys, options);
  const [bell, tasks] = await Promise.all([woken.then(() => undefined, asFailure), claimed]);
  // What was claimed is in hand. The next look meets the same error, if it is one that lasts.
  if (bell !== undefined && tasks.length === 0) throw bell.error;
  return tasks;
}

function asFailure(error: unknown): { readonly error: unknown } {
  return { error };
}

/**
 * Doorbells and queues are on different nodes of a cluster, and a script cannot reach several queues: first the wait,
 * then the queue whose doorbell rang, then, when none did or all are wanted, the others.
 */
async function takeInSteps(connection: Connection, keys: Keys, options: Take): Promise<QueuedTask[]> {
  const { models, credits, all = false } = options;
  const [bell] = asArray(await listen(connection, keys, options));
  const rung = models.filter((model) => keys.doorbell(model) === asText(bell));
  const others = all || rung.length === 0 ? models.filter((model) => !rung.includes(model)) : [];
  const tasks: QueuedTask[] = [];
  try {
    for (const model of [...rung, ...others]) {
      const count = credits - tasks.length;
      if (count > 0) append(tasks, await takeOne(connection, keys, { ...options, model, count }));
    }
  } catch (error) {
    // What was claimed before is in hand. The next look meets the same error, if it is one that lasts.
    if (tasks.length === 0) throw error;
  }
  return tasks;
}

/** A farewell that nobody heard is gone after this, ms. */
const FAREWELL_MS = 5000;

/** Ends the wait of the `take` with this farewell at once, or the next one's: no wait outlasts its process. */
export async function endWait(connection: Connection, farewell: string): Promise<void> {
  await Promise.all([
    connection.command("RPUSH", farewell, "1"),
    connection.command("PEXPIRE", farewell, String(FAREWELL_MS)),
  ]);
}

/** Pops tokens of one of the doorbells, or waits for one: the reply of BLMPOP. */
export async function listen(
  connection: Connection,
  keys: Keys,
  options: Pick<Take, "models" | "credits" | "waitMs" | "farewell">,
): Promise<unknown> {
  const { models, credits, waitMs, farewell } = options;
  const doorbells = models.map((model) => keys.doorbell(model));
  const bells = farewell === undefined ? doorbells : [farewell, ...doorbells];
  const wait = (waitMs / 1000).toFixed(3);
  const args = [wait, String(bells.length), ...bells, "LEFT", "COUNT", String(credits)];
  return connection.command("BLMPOP", ...args);
}

/** Claims from one queue. Rejects with NOGROUP where it has no group. */
export async function takeOne(
  connection: Connection,
  keys: Keys,
  options: { readonly model: string; readonly consumer: string; readonly count: number },
): Promise<QueuedTask[]> {
  const { model, consumer, count } = options;
  const key = keys.queue(model);
  const args = ["GROUP", GROUP, consumer, "COUNT", String(count), "STREAMS", key, ">"];
  const reply = await connection.command("XREADGROUP", ...args);
  return toTasks(model, asStreams(reply).get(key) ?? []);
}

async function takeMany(connection: Connection, keys: Keys, options: Take): Promise<QueuedTask[]> {
  const queues = options.models.map((model) => keys.queue(model));
  const reply = await run(connection, TAKE, queues, [GROUP, options.consumer, String(options.credits)]);
  return asArray(reply).flatMap((item) => {
    const [index, entries] = asArray(item);
    return toTasks(options.models[Number(index) - 1] ?? "", asEntries(entries));
  });
}
