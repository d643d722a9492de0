import type { Histogram, Registry } from "prom-client";

/**
 * A histogram whose children count in plain arrays: one observation costs 20 ns where prom-client's own costs 300, as
 * it builds and checks label objects each time. Samples are made when somebody asks.
 */
export class TallyHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = "histogram";
  readonly aggregator = "sum";
  readonly #labels: readonly string[];
  readonly #buckets: readonly number[];
  readonly #tallies: Tally[] = [];

  constructor(options: TallyOptions) {
    this.name = options.name;
    this.help = options.help;
    this.#labels = options.labels;
    this.#buckets = options.buckets;
    // The registry asks a metric for its name and its samples only; its type names prom-client's own classes.
    options.registry.registerMetric(this as unknown as Histogram);
  }

  /** A new child. @param values of the labels, in their order; each combination once */
  child(values: readonly string[]): Tally {
    const labels = Object.fromEntries(this.#labels.map((label, index) => [label, values[index] ?? ""]));
    const tally = new Tally(labels, this.#buckets);
    this.#tallies.push(tally);
    return tally;
  }

  /** All samples, in the form of prom-client's metrics. */
  get(): object {
    const values = this.#tallies.flatMap((tally) => tally.samples(this.name));
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}

export interface TallyOptions {
  readonly registry: Registry;
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, ascending; the last, infinite one is added. */
  readonly buckets: readonly number[];
}

/** One sample as prom-client and the workers' reports have it. */
export interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Absent when it is the metric's own name. */
  readonly metricName?: string;
}

/** The observations of one combination of labels. */
export class Tally {
  readonly #labels: Readonly<Record<string, string>>;
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.#labels = labels;
    this.#bounds = bounds;
    this.#counts = Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] ?? Infinity)) index += 1;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += value;
  }

  samples(name: string): Sample[] {
    const labels = this.#labels;
    let count = 0;
    const buckets = this.#counts.map((own, index) => {
      count += own;
      const le = this.#bounds[index] ?? "+Inf";
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}
