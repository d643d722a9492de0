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

/** Without another `pause` a worker lets a paused reply go on after this, ms: a message may be lost. */
export const HOLD_MS = 5000;

/** Asks the worker (all, when it is not known) to hold a task's backend back (`pause`), or no longer (`resume`). */
export async function publishFlow(
  connection: Connection,
  keys: Keys,
  flow: {
    readonly verb: "pause" | "resume";
    readonly task: string;
    readonly worker: string | undefined;
  },
): Promise<void> {
  const channel = flow.worker === undefined ? keys.controlAll() : keys.control(flow.worker);
  await connection.command("PUBLISH", channel, `${flow.verb} ${flow.task}`);
}

/** Tells a worker to finish what it runs and take nothing more, or to take tasks again. */
export async function publishDrain(
  connection: Connection,
  keys: Keys,
  worker: string,
  verb: "drain" | "undrain",
): Promise<void> {
  await connection.command("PUBLISH", keys.control(worker), `${verb} ${worker}`);
}

export interface ControlListener {
  /** Nobody waits for this task any more. */
  cancel(task: string): void;
  /** The client of this task is behind. */
  pause(task: string): void;
  /** It has caught up. */
  resume(task: string): void;
  /** Tasks of this model may have been handed back. */
  sweep(model: string): void;
  /** Take no more tasks, or take them again. */
  drain(): void;
  undrain(): void;
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
    else if (verb === "pause" || verb === "resume") listener[verb](text.slice(space + 1));
    else if (verb === "sweep") listener.sweep(text.slice(space + 1));
    else if ((verb === "drain" || verb === "undrain") && text.slice(space + 1) === worker) listener[verb]();
  };
  await connection.subscribe(keys.control(worker), receive);
  await connection.subscribe(keys.controlAll(), receive);
}
