import type { Task } from "../../src/core/task.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import type { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";

/** Leaves the dead letter of a task that no worker answered in three deliveries. */
export async function leaveDeadLetter(connection: Connection, keys: Keys, task: Task): Promise<void> {
  await leaveUnreadable(connection, keys, task.model, encodeTask(task, true));
}

/** Leaves such a dead letter with any bytes for its task. */
export async function leaveUnreadable(
  connection: Connection,
  keys: Keys,
  model: string,
  payload: Buffer,
): Promise<void> {
  const fault = { code: "delivery_limit", message: "no worker answered", http: 502 } as const;
  await openStores(connection, keys).letters.add({ model, payload, fault, deliveries: 3, worker: "w1" });
}
