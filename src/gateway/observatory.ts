import { systemAmbient } from "../core/ambient.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import type { Handler } from "./http.ts";
import { Live } from "./live.ts";
import type { LiveOptions, Snapshot } from "./live.ts";
import { Meter } from "./meter.ts";
import { TaskLog } from "./task-log.ts";
import { Witness } from "./witness.ts";

/** Where the observatory looks. */
export type Observed = Pick<LiveOptions, "exchanges" | "unready">;

export interface ObservatoryOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly gateway: Snapshot["gateway"];
  /** How long a model without workers is still shown, ms. */
  readonly memoryMs: number;
}

const SECOND_MS = 1000;

/** All that people see of a gateway while it runs: the meter, the log of tasks, the live page. */
export class Observatory {
  readonly #options: ObservatoryOptions;
  readonly #meter: Meter = new Meter();
  readonly #log: TaskLog;
  #live: Live | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Is told how each request ends. */
  readonly witness: Witness;

  constructor(options: ObservatoryOptions) {
    this.#options = options;
    this.#log = new TaskLog(options);
    this.witness = new Witness({ meter: this.#meter, log: this.#log });
  }

  /** Begins to look. Returns what answers requests for the live page's events. */
  start(observed: Observed): Handler {
    const { now, mono } = systemAmbient;
    const live = new Live({ ...this.#options, ...observed, meter: this.#meter, now, mono });
    this.#live = live;
    this.#timer = setInterval(() => {
      this.#meter.tick(observed.exchanges());
    }, SECOND_MS);
    return (request, reply) => {
      live.watch(request, reply);
    };
  }

  /** Smoothed, by model key. */
  get tokensPerSecond(): Record<string, number> {
    const rates = [...this.#meter.rates].map(([model, rate]) => [model, Math.round(rate * 10) / 10]);
    return Object.fromEntries(rates) as Record<string, number>;
  }

  /** Ends the live pages' streams and writes the rest of the log. Idempotent; nothing runs once it has returned. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#live?.stop();
    await this.#log.flush();
  }
}
