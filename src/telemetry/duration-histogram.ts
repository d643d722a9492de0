import { createHistogram } from "node:perf_hooks";

/** Shares of all durations at which a plot reads a distribution. */
export const CURVE_SHARES: readonly number[] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

/** The figures of a report. Durations are in µs, 0 when nothing was recorded. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Longest duration that is recorded exactly enough, µs: a day. Longer ones count as this one. */
const LONGEST_US = 86_400_000_000;

/**
 * A histogram of durations in µs, exact below 255 µs and at most 0.8 % too long above.
 *
 * Node's histogram takes 25 ns to record a duration and 30 KB of memory. It takes no 0, so it gets each duration plus one.
 * It also rounds its maximum and the rank of a percentile, so both are worked out here.
 */
export class Histogram {
  readonly #times = createHistogram({ lowest: 1, highest: LONGEST_US + 1, figures: 2 });
  #max = 0;

  /** Adds one duration. */
  record(us: number): void {
    const value = us > 0 ? Math.trunc(us) : 0;
    if (value > this.#max) this.#max = value;
    this.#times.record(Math.min(value, LONGEST_US) + 1);
  }

  /** The smallest duration, µs, that at least the share `share` (0 to 1) of all durations does not exceed. */
  quantile(share: number): number {
    const { count } = this.#times;
    if (count === 0) return 0;
    const rank = Math.max(1, Math.ceil(share * count));
    return Math.min(this.#times.percentile((rank / count) * 100) - 1, this.#max);
  }

  /** The distribution in µs, at {@link CURVE_SHARES}. */
  curve(): readonly number[] {
    return CURVE_SHARES.map((share) => this.quantile(share));
  }

  /** The figures for a report. */
  percentiles(): Percentiles {
    return {
      count: this.#times.count,
      p50: this.quantile(0.5),
      p99: this.quantile(0.99),
      max: this.#max,
    };
  }
}
