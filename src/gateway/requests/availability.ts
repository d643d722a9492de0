import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../core/fault.ts";
import { stallFault } from "./lost-fault.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { StallDetector } from "../../telemetry/stall-detector.ts";
import type { TaskObserver } from "./task-observer.ts";

export interface AvailabilityOptions {
  /** Connections without which no request can be served. */
  readonly connections: readonly Pick<Connection, "ready">[];
  readonly stalls: Pick<StallDetector, "connectionBreakingMs">;
  /** True when no client waits for an answer, or for the check of a body. */
  readonly isIdle: () => boolean;
}

/** Knows whether this gateway serves requests, and brings it to a stop. Observes tasks to see the last one end. */
export class Availability implements TaskObserver {
  readonly #options: AvailabilityOptions;
  #isDraining = false;
  #isLeaving = false;
  /** Ends the wait for the last task. */
  #idle: AbortController | undefined;

  constructor(options: AvailabilityOptions) {
    this.#options = options;
  }

  /** The fault of a request that comes now: `draining`, `redis_down` or `gateway_stalled`; undefined for none. */
  unready(): Fault | undefined {
    const { connections, stalls } = this.#options;
    if (this.#isDraining) return new Fault("draining", "the gateway is stopping");
    if (connections.every(({ ready }) => ready)) return undefined;
    const stalledMs = stalls.connectionBreakingMs;
    if (stalledMs > 0) return stallFault(stalledMs, "it connects to Redis again");
    return new Fault("redis_down", "Redis is not reachable");
  }

  /** As {@link unready}, and `draining` too while a gateway that is about to stop still accepts requests. */
  unavailable(): Fault | undefined {
    return this.#isLeaving ? new Fault("draining", "the gateway is about to stop") : this.unready();
  }

  /** From now on load balancers should choose other gateways. Requests are still served. Resolves `graceMs` later. */
  async leave(graceMs: number): Promise<void> {
    this.#isLeaving = true;
    if (graceMs > 0) await delay(graceMs);
  }

  /** Rejects new requests from now on; resolves when no task is open, or after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#options.isIdle()) return;
    this.#idle = new AbortController();
    await delay(limitMs, undefined, { signal: this.#idle.signal }).catch(() => undefined);
  }

  ended(): void {
    if (this.#idle !== undefined && this.#options.isIdle()) this.#idle.abort();
  }

  rejected(): void {
    this.ended();
  }
}

/** A broken connection to a running Redis is made again within this, ms; with a cluster, to all its masters. */
const PATIENCE_MS = 1000;

/**
 * Holds new requests in the first moment of an outage: a rejection would be out of date at once. A connection
 * broke, or this process stood still and mistook its own silence for that of Redis. Later requests of an outage need not
 * wait.
 */
export class OutageBuffer {
  readonly #connections: readonly Connection[];
  readonly #away = new Set<Connection>();
  #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param connections connections without which no request can be served */
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

  /** Resolves at once when it is not {@link open}, else together with {@link wait}. */
  async passed(): Promise<void> {
    if (!this.open) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wait(resolve);
    await promise;
  }

  /** Releases the requests that wait, to be served or rejected. No later request waits. */
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

  /** Each failed attempt to connect is reported too: an outage begins once. */
  #down(connection: Connection): void {
    const begins = this.#away.size === 0;
    this.#away.add(connection);
    if (!begins || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#release();
    }, PATIENCE_MS);
  }
}
