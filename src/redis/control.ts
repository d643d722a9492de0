import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";

/** Cancels travel on pub/sub: fast, and backed by the `gone` answer of the next emit and by the heartbeat. */

/** Tells the worker (all workers when it is not known) that nobody waits for a task any more. */
export async function publishCancel(
  connection: Connection,
  keys: Keys,
  task: string,
  worker: string | undefined,
): Promise<void> {
  const channel = worker === undefined ? keys.controlAll() : keys.control(worker);
  await connection.command("PUBLISH", channel, `cancel ${task}`);
}

/** Calls back with the ids of cancelled tasks. */
export async function onCancel(
  connection: Connection,
  keys: Keys,
  worker: string,
  listener: (task: string) => void,
): Promise<void> {
  const receive = (message: Buffer): void => {
    const text = message.toString();
    if (text.startsWith("cancel ")) listener(text.slice("cancel ".length));
  };
  await connection.subscribe(keys.control(worker), receive);
  await connection.subscribe(keys.controlAll(), receive);
}
