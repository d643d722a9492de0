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

/** Asks the workers that serve a model to look for tasks that were handed back. */
export async function publishSweep(connection: Connection, keys: Keys, model: string): Promise<void> {
  await connection.command("PUBLISH", keys.controlAll(), `sweep ${model}`);
}

export interface ControlListener {
  /** Nobody waits for this task any more. */
  cancel(task: string): void;
  /** Tasks of this model may have been handed back. */
  sweep(model: string): void;
}

/** Listens to what all workers, and this one in particular, are told. Unknown messages are ignored. */
export async function onControl(
  connection: Connection,
  keys: Keys,
  worker: string,
  listener: ControlListener,
): Promise<void> {
  const receive = (message: Buffer): void => {
    const text = message.toString();
    const space = text.indexOf(" ");
    const verb = text.slice(0, space);
    if (verb === "cancel") listener.cancel(text.slice(space + 1));
    else if (verb === "sweep") listener.sweep(text.slice(space + 1));
  };
  await connection.subscribe(keys.control(worker), receive);
  await connection.subscribe(keys.controlAll(), receive);
}
