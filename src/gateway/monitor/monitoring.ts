import { systemAmbient } from "../../core/ambient.ts";
import type { TenantNow } from "../../core/fleet.ts";
import type { Inspection } from "../../redis/inspect/inspection.ts";
import type { Handler } from "../http/http.ts";
import { LiveFeed } from "./live-feed.ts";
import type { LiveFeedOptions, Snapshot } from "./live-feed.ts";
import { TokenMeter } from "./token-meter.ts";
import { TaskLog } from "./task-observers.ts";
import type { Exchange } from "../requests/exchange.ts";
import type { TaskObserver } from "../requests/task-observer.ts";

/** The part of a gateway that is monitored. */
export type MonitoredGateway = Pick<LiveFeedOptions, "exchanges" | "unready" | "mayWatch">;

export interface MonitoringOptions {
  readonly inspection: Pick<Inspection, "fleet" | "summaries">;
  readonly gateway: Snapshot["gateway"];
  /** Time for which a model without workers is still shown (ms). */
  readonly memoryMs: number;
}

const SECOND_MS = 1000;

/** Most tenants in an announcement. */
const MOST_TENANTS = 50;

/** Shows people a gateway while it runs: the token meter, the log of tasks, the live page. */
export class Monitoring {
  readonly #options: MonitoringOptions;
  readonly #meter: TokenMeter = new TokenMeter();
  readonly #log: TaskLog;
  #live: LiveFeed | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Observe the requests of the gateway. */
  readonly observers: readonly TaskObserver[];

  constructor(options: MonitoringOptions) {
    this.#options = options;
    this.#log = new TaskLog(options.inspection.summaries);
    this.observers = [this.#meter, this.#log];
  }

  /** Starts to monitor. Returns the handler of the live page's events. */
  start(gateway: MonitoredGateway): Handler {
    const live = new LiveFeed({ ...this.#options, ...gateway, meter: this.#meter, ambient: systemAmbient });
    this.#live = live;
    this.#timer = setInterval(() => {
      this.#meter.tick(gateway.exchanges());
    }, SECOND_MS);
    return (request, reply) => {
      live.watch(request, reply);
    };
  }

  /** Estimates the tokens that a task's client was given. */
  get meter(): Pick<TokenMeter, "tokensOf"> {
    return this.#meter;
  }

  /** Smoothed rate of each model (tokens/s), by model key. */
  get tokensPerSecond(): Record<string, number> {
    const rates = [...this.#meter.rates].map(([model, rate]) => [model, Math.round(rate * 10) / 10]);
    return Object.fromEntries(rates) as Record<string, number>;
  }

  /** Tenants with open requests or tokens, the busiest first, at most {@link MOST_TENANTS}. */
  tenantsNow(open: Iterable<Pick<Exchange, "task">>): Record<string, TenantNow> {
    const opened = new Map<string, number>();
    for (const { task } of open) {
      if (task.tenant !== undefined) opened.set(task.tenant, (opened.get(task.tenant) ?? 0) + 1);
    }
    const rates = this.#meter.tenantRates;
    const now = Array.from(new Set([...opened.keys(), ...rates.keys()]), (tenant): [string, TenantNow] => [
      tenant,
      {
        open: opened.get(tenant) ?? 0,
        tokensPerSecond: Math.round((rates.get(tenant) ?? 0) * 10) / 10,
      },
    ]);
    const busiest = now.toSorted(([, a], [, b]) => b.tokensPerSecond - a.tokensPerSecond || b.open - a.open);
    return Object.fromEntries(busiest.slice(0, MOST_TENANTS)) as Record<string, TenantNow>;
  }

  /** Ends the streams of live pages and writes the rest of the log. Idempotent; nothing runs after it. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#live?.stop();
    await this.#log.flush();
  }
}
