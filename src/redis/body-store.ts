import type { Connection } from "./connection/connection.ts";
import { lifeOf } from "./keys.ts";
import type { Keys } from "./keys.ts";

/**
 * Largest body inside a queue entry, bytes. A larger one has a key of its own.
 * A read of n entries carries n bodies and delays other clients: 13 MB cost them 13 to 24 ms.
 */
export const INLINE_BYTES: number = 128 * 1024;

/** Request bodies that are too large for a queue entry. */
export class BodyStore {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Stores the body of a task. @param lifeMs time until the task's deadline, ms */
  async put(task: { readonly id: string; readonly body: Buffer }, lifeMs: number): Promise<void> {
    await this.#connection.command("SET", this.#keys.body(task.id), task.body, "PX", lifeOf(lifeMs));
  }

  /** The body of a task; undefined when its client is gone. */
  async get(task: string): Promise<Buffer | undefined> {
    const value = await this.#connection.command("GET", this.#keys.body(task));
    return Buffer.isBuffer(value) ? value : undefined;
  }

  async drop(task: string): Promise<void> {
    await this.#connection.command("UNLINK", this.#keys.body(task));
  }
}
