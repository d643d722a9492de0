import { Fault } from "../../../src/core/fault.ts";
import type { Argument, Connection } from "../../../src/redis/connection/connection.ts";

/** A connection whose answers a test gives, and which it can cut. */
export class FakeConnection implements Connection {
  ready = true;
  /** As of a Redis Cluster. */
  sharded = false;
  /** The run of its server. */
  server: string | undefined = undefined;
  /** Commands that arrived, each as one text. */
  readonly arrived: string[] = [];
  /** The reply to a command. */
  answer: (command: string) => unknown = () => null;
  readonly #onReconnect: ((moved: boolean) => void)[] = [];
  readonly #onDown: ((error: unknown) => void)[] = [];

  command(...args: Argument[]): Promise<unknown> {
    if (!this.ready) return Promise.reject(new Fault("redis_down", "Redis is not connected"));
    const text = args.join(" ");
    this.arrived.push(text);
    return Promise.resolve(this.answer(text));
  }

  async everywhere(...args: Argument[]): Promise<unknown[]> {
    return [await this.command(...args)];
  }

  subscribe(): Promise<void> {
    return Promise.resolve();
  }

  serverOf(): string | undefined {
    return this.server;
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#onReconnect.push(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#onDown.push(listener);
  }

  close(): void {
    this.ready = false;
  }

  cut(): void {
    this.ready = false;
    for (const listener of this.#onDown) listener(new Error("cut"));
  }

  /** @param moved as when another server has taken over */
  mend(moved = false): void {
    this.ready = true;
    for (const listener of this.#onReconnect) listener(moved);
  }
}
