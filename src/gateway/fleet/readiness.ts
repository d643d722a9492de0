import type { Settings } from "../../config/settings.ts";
import { systemAmbient } from "../../core/ambient.ts";
import type { Fault } from "../../core/fault.ts";
import type { Connection } from "../../redis/connection/connection.ts";

export interface ReadinessOptions {
  /** Connections without which no request can be served. */
  readonly connections: readonly Pick<Connection, "ready" | "onDown" | "onReconnect">[];
  /** Time of an outage of Redis in which the gateway stays in service, ms. */
  readonly outageMs: number;
  /** Ms, monotonic. */
  readonly mono: () => number;
  /** The fault of requests that cannot be served now, or not much longer; undefined when they can. */
  readonly unready: () => Fault | undefined;
}

/**
 * Tells load balancers whether requests should come. An outage of Redis hits all gateways at once. If all were unready,
 * the balancer would answer in their place, in no client's form and without Retry-After. So a gateway stays in service
 * for the first part of an outage and rejects requests itself. A gateway that alone cannot reach Redis leaves after that.
 */
export class Readiness {
  readonly #options: ReadinessOptions;
  /** Mono ms when Redis went away; undefined while it is there. */
  #awaySince: number | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    for (const connection of options.connections) {
      connection.onDown(() => {
        this.#awaySince ??= options.mono();
      });
      connection.onReconnect(() => {
        this.#checkLinks();
      });
    }
  }

  /** The fault of requests that cannot be served, at once when Redis is away; undefined when they can. */
  get unready(): Fault | undefined {
    return this.#options.unready();
  }

  /** The fault for which requests should go to other gateways; undefined while they should come. */
  get outOfService(): Fault | undefined {
    const fault = this.unready;
    if (fault === undefined || fault.code === "draining") return fault;
    const since = this.#checkLinks();
    return since === undefined || this.#options.mono() - since < this.#options.outageMs ? undefined : fault;
  }

  #checkLinks(): number | undefined {
    const { connections, mono } = this.#options;
    if (connections.every(({ ready }) => ready)) this.#awaySince = undefined;
    else this.#awaySince ??= mono();
    return this.#awaySince;
  }
}

/** The readiness of a gateway with these connections. */
export function readinessOf(
  { readyOutageMs: outageMs }: Pick<Settings, "readyOutageMs">,
  connections: ReadinessOptions["connections"],
  unready: ReadinessOptions["unready"],
): Readiness {
  return new Readiness({ connections, outageMs, mono: systemAmbient.mono, unready });
}
