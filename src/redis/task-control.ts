import type { Connection } from "./connection/connection.ts";
import type { Keys } from "./keys.ts";

/** Longest pause without another `pause` message, ms. The `resume` message may be lost. */
export const HOLD_MS = 5000;

export interface ControlListener {
  /** The client of this task is gone. */
  cancel(task: string): void;
  /** The client of this task is behind. */
  pause(task: string): void;
  /** That client has caught up. */
  resume(task: string): void;
  /** Tasks of this model may have been requeued. */
  sweep(model: string): void;
  /** Take no more tasks. */
  drain(): void;
  /** Take tasks again. */
  undrain(): void;
}

/**
 * Messages to workers about their tasks, by pub/sub. A message may be lost.
 * A worker then learns from its next emit or renewal of its leases that a client is gone.
 */
export class TaskControl {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Reports to a worker that the client of a task is gone; to all workers when `worker` is undefined. */
  async cancel(task: string, worker: string | undefined): Promise<void> {
    const channel = worker === undefined ? this.#keys.controlAll() : this.#keys.control(worker);
    await this.#connection.command("PUBLISH", channel, `cancel ${task}`);
  }

  /** Asks the workers that serve a model to look for requeued tasks. */
  async sweep(model: string): Promise<void> {
    await this.#connection.command("PUBLISH", this.#keys.controlAll(), `sweep ${model}`);
  }

  /** Asks a worker to pause or resume reading from the backend of a task. */
  async flow(flow: {
    readonly verb: "pause" | "resume";
    readonly task: string;
    readonly worker: string | undefined;
  }): Promise<void> {
    const channel = flow.worker === undefined ? this.#keys.controlAll() : this.#keys.control(flow.worker);
    await this.#connection.command("PUBLISH", channel, `${flow.verb} ${flow.task}`);
  }

  /** Tells a worker to finish its tasks and take no more, or to take tasks again. */
  async drain(worker: string, verb: "drain" | "undrain"): Promise<void> {
    await this.#connection.command("PUBLISH", this.#keys.control(worker), `${verb} ${worker}`);
  }

  /** Listens to the messages for all workers and for this one. Unknown messages are ignored. */
  async listen(worker: string, listener: ControlListener): Promise<void> {
    const receive = (message: Buffer): void => {
      const text = message.toString();
      const space = text.indexOf(" ");
      const verb = text.slice(0, space);
      if (verb === "cancel") listener.cancel(text.slice(space + 1));
      else if (verb === "pause" || verb === "resume") listener[verb](text.slice(space + 1));
      else if (verb === "sweep") listener.sweep(text.slice(space + 1));
      else if ((verb === "drain" || verb === "undrain") && text.slice(space + 1) === worker) listener[verb]();
    };
    await this.#connection.subscribe(this.#keys.control(worker), receive);
    await this.#connection.subscribe(this.#keys.controlAll(), receive);
  }
}
