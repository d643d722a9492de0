import { Fault } from "../../core/fault.ts";
import type { Stores } from "../../redis/stores.ts";
import { HOLD_MS } from "../../redis/task-control.ts";
import type { StallDetector } from "../../telemetry/stall-detector.ts";
import type { Exchange } from "./exchange.ts";

/** The last resort: a client is cut when this many bytes of its reply wait for it in Redis. */
const MOST_BEHIND = 64 * 1024 * 1024;

export interface SlowClientsOptions {
  readonly stores: Pick<Stores, "control" | "replies">;
  /** A client that takes nothing for this long (ms) is cut. */
  readonly patienceMs: number;
  readonly mono: () => number;
  /** While this gateway stands still no client can take anything. */
  readonly stalls: Pick<StallDetector, "since">;
}

/**
 * Handles clients that do not keep up with their reply. Their workers get repeated messages to pause the backend,
 * since a message may be lost. Clients that take nothing at all are cut.
 */
export class SlowClients {
  readonly #options: SlowClientsOptions;
  /** Exchanges whose backend is paused -> mono ms of the last message to the worker. */
  readonly #pausedAt = new Map<Exchange, number>();

  constructor(options: SlowClientsOptions) {
    this.#options = options;
  }

  /** Replies whose backend is paused now. */
  get paused(): number {
    return this.#pausedAt.size;
  }

  /** The backend of an exchange should pause, or go on. */
  pause(exchange: Exchange, isPaused: boolean): void {
    if (isPaused) {
      this.#pausedAt.set(exchange, this.#options.mono());
      this.#publish(exchange, "pause");
    } else if (this.#pausedAt.delete(exchange)) {
      this.#publish(exchange, "resume");
    }
  }

  /** The exchange is over. */
  forget(exchange: Exchange): void {
    this.#pausedAt.delete(exchange);
  }

  /** Call twice a second for each open exchange. */
  check(exchange: Exchange): void {
    const pausedAt = this.#pausedAt.get(exchange);
    if (pausedAt === undefined && !exchange.stalled) return;
    const { mono, patienceMs } = this.#options;
    const now = mono();
    if (exchange.stalled && this.#idleMs(exchange, now) >= patienceMs) {
      exchange.fail(new Fault("slow_client", `the client took nothing for ${patienceMs} ms`));
    } else if (exchange.behind > MOST_BEHIND) {
      exchange.fail(new Fault("slow_client", `the client was ${MOST_BEHIND} bytes behind`));
    } else if (pausedAt !== undefined && now - pausedAt >= HOLD_MS / 3) {
      this.#pausedAt.set(exchange, now);
      this.#publish(exchange, "pause");
    }
  }

  /** Keeps the reply streams of slow clients from expiring. */
  keepReplies(exchanges: readonly Exchange[]): void {
    const stalled = exchanges.filter((exchange) => exchange.stalled);
    if (stalled.length === 0) return;
    const tasks = stalled.map((exchange) => exchange.task.id);
    this.#options.stores.replies.prolong(tasks).catch(() => undefined);
  }

  /** Ms in which a client has taken nothing that it could have taken. */
  #idleMs({ wroteAt }: Exchange, now: number): number {
    const idle = now - wroteAt;
    return idle < this.#options.patienceMs ? idle : idle - this.#options.stalls.since(wroteAt);
  }

  /** With Redis away the worker cannot go on either. */
  #publish(exchange: Exchange, verb: "pause" | "resume"): void {
    const { worker } = exchange;
    this.#options.stores.control.flow({ verb, task: exchange.task.id, worker }).catch(() => undefined);
  }
}
