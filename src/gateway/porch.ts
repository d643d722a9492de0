import type { Endpoint } from "../core/task.ts";
import type { Connection } from "../redis/connection.ts";
import type { HttpReply, HttpRequest } from "./http.ts";

/** A broken connection to a Redis that is there is made again within this, ms; with a cluster, to all its masters. */
const PATIENCE_MS = 1000;

/**
 * Where new requests wait in the first moment of an outage, in place of a refusal that would be out of date at once: a
 * connection broke, or this process stood still for so long that it takes its own silence for that of Redis. Who comes
 * later in an outage need not wait.
 */
export class Porch {
  readonly #connections: readonly Connection[];
  readonly #away = new Set<Connection>();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param connections those without which no request can be served */
  constructor(connections: readonly Connection[]) {
    this.#connections = connections;
    for (const connection of connections) {
      connection.onDown(() => {
        this.#down(connection);
      });
      connection.onReconnect(() => {
        this.#away.delete(connection);
        if (this.#away.size === 0) this.#release();
      });
    }
  }

  /** True while a new request had better wait. */
  get open(): boolean {
    return this.#timer !== undefined && this.#connections.some(({ ready }) => !ready);
  }

  /** `enter` is called once: when Redis is back, when that takes too long, or at {@link close}. */
  wait(enter: () => void): void {
    this.#waiting.push(enter);
  }

  /** Resolves at once when it is not {@link open}, else when {@link wait} lets in. */
  async passed(): Promise<void> {
    if (!this.open) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wait(resolve);
    await promise;
  }

  /** Whoever waits is let in, to be served or refused, and nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.#release();
  }

  #release(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const enter of waiting) enter();
  }

  /** Each failed attempt to connect is told of too: an outage begins once. */
  #down(connection: Connection): void {
    const begins = this.#away.size === 0;
    this.#away.add(connection);
    if (!begins || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#release();
    }, PATIENCE_MS);
  }
}

type Take = (endpoint: Endpoint, request: HttpRequest, reply: HttpReply) => void;

/** Takes requests to the board; while the porch is open they wait there first, and who leaves meanwhile is forgotten. */
export function byThePorch(porch: Porch, board: { readonly take: Take }): Take {
  return (endpoint, request, reply) => {
    if (!porch.open) {
      board.take(endpoint, request, reply);
      return;
    }
    porch.wait(() => {
      if (!reply.aborted) board.take(endpoint, request, reply);
    });
  };
}
