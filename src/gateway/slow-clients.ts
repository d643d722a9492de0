import { Fault } from "../core/fault.ts";
import type { Connection } from "../redis/connection.ts";
import { HOLD_MS, publishFlow } from "../redis/control.ts";
import type { Keys } from "../redis/keys.ts";
import type { StallMeter } from "../telemetry/stall-meter.ts";
import type { Exchange } from "./exchange.ts";

/** The last resort: so much of a reply may wait for its client in Redis, bytes. */
const MOST_BEHIND = 64 * 1024 * 1024;

export interface SlowClientsOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  /** A client that takes nothing for so long is cut, ms. */
  readonly patienceMs: number;
  readonly mono: () => number;
  /** While this gateway stands still no client can take anything. */
  readonly stalls: Pick<StallMeter, "since">;
}

/**
 * Looks after clients that do not keep up with their reply: their workers are told to hold the backend back, again and
 * again while it lasts, since a message may be lost; those that take nothing at all are cut.
 */
export class SlowClients {
  readonly #options: SlowClientsOptions;
  /** Exchanges whose backend is held back -> mono ms when the worker was told last. */
  readonly #told = new Map<Exchange, number>();

  constructor(options: SlowClientsOptions) {
    this.#options = options;
  }

  /** Replies held back now. */
  get held(): number {
    return this.#told.size;
  }

  /** The backend of an exchange is to be held back, or no longer. */
  hold(exchange: Exchange, isHeld: boolean): void {
    if (isHeld) {
      this.#told.set(exchange, this.#options.mono());
      this.#tell(exchange, "pause");
    } else if (this.#told.delete(exchange)) {
      this.#tell(exchange, "resume");
    }
  }

  /** The exchange is over. */
  forget(exchange: Exchange): void {
    this.#told.delete(exchange);
  }

  /** To be called now and then for each open exchange. */
  look(exchange: Exchange): void {
    const toldAt = this.#told.get(exchange);
    if (toldAt === undefined && !exchange.stalled) return;
    const { mono, patienceMs } = this.#options;
    const now = mono();
    if (exchange.stalled && this.#idleMs(exchange, now) >= patienceMs) {
      exchange.fail(new Fault("slow_client", `the client took nothing for ${patienceMs} ms`));
    } else if (exchange.behind > MOST_BEHIND) {
      exchange.fail(new Fault("slow_client", `the client was ${MOST_BEHIND} bytes behind`));
    } else if (toldAt !== undefined && now - toldAt >= HOLD_MS / 3) {
      this.#told.set(exchange, now);
      this.#tell(exchange, "pause");
    }
  }

  /** For how long a client has taken nothing that it could have taken, ms. */
  #idleMs({ wroteAt }: Exchange, now: number): number {
    const idle = now - wroteAt;
    return idle < this.#options.patienceMs ? idle : idle - this.#options.stalls.since(wroteAt);
  }

  /** With Redis away the worker cannot go on either. */
  #tell(exchange: Exchange, verb: "pause" | "resume"): void {
    const { connection, keys } = this.#options;
    const { worker } = exchange;
    publishFlow(connection, keys, { verb, task: exchange.task.id, worker }).catch(() => undefined);
  }
}
