import type { TaskSummary } from "./summary.ts";

/** Period of the counts, ms. */
const WINDOW_MS = 10 * 60_000;

/** Most faults remembered, and most faults shown. */
const MOST = 1000;
const SHOWN = 10;

export interface FaultsView {
  /** Period of the counts, ms. */
  readonly windowMs: number;
  /** Count by code, the most frequent first. */
  readonly counts: readonly (readonly [code: string, count: number])[];
  /** The newest first. */
  readonly latest: readonly TaskSummary[];
}

/** The faults among recently ended tasks. A client that is gone is no fault. */
export class RecentFaults {
  #faults: TaskSummary[] = [];

  add(summaries: readonly TaskSummary[]): void {
    const faults = summaries.filter(({ code }) => code !== "ok" && code !== "cancelled");
    if (faults.length > 0) this.#faults = [...this.#faults, ...faults].slice(-MOST);
  }

  /** @param now ms since 1970 */
  view(now: number): FaultsView {
    this.#faults = this.#faults.filter(({ at, totalMs }) => at + totalMs > now - WINDOW_MS);
    const counts = new Map<string, number>();
    for (const { code } of this.#faults) counts.set(code, (counts.get(code) ?? 0) + 1);
    return {
      windowMs: WINDOW_MS,
      counts: [...counts].toSorted(([, a], [, b]) => b - a),
      latest: this.#faults.slice(-SHOWN).toReversed(),
    };
  }
}
