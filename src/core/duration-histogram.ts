/** Counts of durations in fixed memory: exact below 128 µs, above it within 1.6 %. */

const LINEAR = 128;
const PER_OCTAVE = 64;
const OCTAVES = 25;

/** Where a distribution is read for a plot, as shares of all durations. */
export const CURVE_SHARES: readonly number[] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

/** What is reported of a histogram; durations in µs, 0 when nothing was recorded. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** A histogram of durations in µs, from 0 to about an hour; longer ones count as the longest. */
export class Histogram {
  readonly #counts = new Uint32Array(LINEAR + OCTAVES * PER_OCTAVE);
  #total = 0;
  #max = 0;

  /** Adds one duration. */
  record(us: number): void {
    const value = us > 0 ? Math.trunc(us) : 0;
    const slot = Math.min(slotOf(value), this.#counts.length - 1);
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
    this.#total += 1;
    if (value > this.#max) this.#max = value;
  }

  /** Smallest value in µs that at least the share `share` (0 to 1) of all recorded durations does not exceed. */
  quantile(share: number): number {
    let left = Math.max(1, Math.ceil(share * this.#total));
    for (let slot = 0; slot < this.#counts.length; slot += 1) {
      left -= this.#counts[slot] ?? 0;
      if (left <= 0) return Math.min(topOf(slot), this.#max);
    }
    return this.#max;
  }

  /** The distribution in µs, at `CURVE_SHARES`. */
  curve(): readonly number[] {
    return CURVE_SHARES.map((share) => this.quantile(share));
  }

  /** The figures that go into a report. */
  percentiles(): Percentiles {
    return { count: this.#total, p50: this.quantile(0.5), p99: this.quantile(0.99), max: this.#max };
  }
}

function slotOf(value: number): number {
  if (value < LINEAR) return value;
  const octave = Math.floor(Math.log2(value)) - Math.log2(LINEAR);
  const step = LINEAR / PER_OCTAVE;
  return LINEAR + octave * PER_OCTAVE + Math.floor(value / (2 ** octave * step)) - PER_OCTAVE;
}

function topOf(slot: number): number {
  if (slot < LINEAR) return slot;
  const octave = Math.floor((slot - LINEAR) / PER_OCTAVE);
  const width = 2 ** octave * (LINEAR / PER_OCTAVE);
  return (((slot - LINEAR) % PER_OCTAVE) + PER_OCTAVE + 1) * width - 1;
}
