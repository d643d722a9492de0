import type { Connection } from "./connection/connection.ts";
import { asArray, asText } from "./connection/resp.ts";
import type { Keys } from "./keys.ts";

/** Life of an interrupt that no claimer took, ms. */
const INTERRUPT_MS = 5000;

/** A wait for tasks. */
export interface Wait {
  /** Model keys whose doorbells end the wait. */
  readonly models: readonly string[];
  /** Most tokens to take. */
  readonly credits: number;
  /** Longest wait, ms. */
  readonly waitMs: number;
  /** Name of the waiting claimer, for {@link Doorbells.interrupt}; absent when nothing interrupts it. */
  readonly claimer?: string;
}

/** The doorbells of queues: lists of wake-up tokens. A token is a hint: a lost or extra one does no harm. */
export class Doorbells {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Puts `count` tokens into a model's doorbell, which wakes as many idle workers. */
  async ring(model: string, count: number): Promise<void> {
    await this.#connection.command("RPUSH", this.#keys.doorbell(model), ...Array<string>(count).fill("1"));
  }

  /** Removes tokens; one when `count` is absent. */
  async pop(model: string, count?: number): Promise<void> {
    const key = this.#keys.doorbell(model);
    await (count === undefined
      ? this.#connection.command("LPOP", key)
      : this.#connection.command("LPOP", key, String(count)));
  }

  /** Takes tokens of one doorbell, or waits for some. Blocks the connection. Resolves with the reply of BLMPOP. */
  async wait(wait: Wait): Promise<unknown> {
    const { models, credits, waitMs, claimer } = wait;
    const doorbells = models.map((model) => this.#keys.doorbell(model));
    const lists = claimer === undefined ? doorbells : [this.#keys.interrupt(claimer), ...doorbells];
    const seconds = (waitMs / 1000).toFixed(3);
    const args = [seconds, String(lists.length), ...lists, "LEFT", "COUNT", String(credits)];
    return this.#connection.command("BLMPOP", ...args);
  }

  /** The model whose doorbell ended a wait; undefined when the time ran out or the claimer was interrupted. */
  rungBy(reply: unknown, models: readonly string[]): string | undefined {
    if (reply === null) return undefined;
    const key = asText(asArray(reply)[0]);
    return models.find((model) => this.#keys.doorbell(model) === key);
  }

  /** Ends the current or next wait of a claimer. Call it on another connection: the claimer's own is blocked. */
  async interrupt(claimer: string): Promise<void> {
    const key = this.#keys.interrupt(claimer);
    await Promise.all([
      this.#connection.command("RPUSH", key, "1"),
      this.#connection.command("PEXPIRE", key, String(INTERRUPT_MS)),
    ]);
  }

  /** Lets a doorbell expire. @param life time from now, ms */
  async expire(model: string, life: string): Promise<void> {
    await this.#connection.command("PEXPIRE", this.#keys.doorbell(model), life);
  }

  async drop(model: string): Promise<void> {
    await this.#connection.command("UNLINK", this.#keys.doorbell(model));
  }
}
