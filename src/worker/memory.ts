import type { ModelCard } from "../core/model.ts";
import { fits } from "../core/placement.ts";
import type { Places } from "../core/placement.ts";

/**
 * How many models fit into the memory of a backend: the most that were seen there at once, and their bytes. Until two
 * were seen it is one. A load that throws something out tells that it was less.
 */
export class Memory {
  readonly #fixed: number;
  readonly #bytes = new Map<string, number>();
  #models = 1;
  #most = 0;

  /** @param fixed as configured; 0 learns it */
  constructor(fixed: number) {
    this.#fixed = fixed;
  }

  get places(): Places {
    if (this.#fixed > 0) return { models: this.#fixed, bytes: Infinity };
    return { models: this.#models, bytes: this.#most };
  }

  /** Records the memory that a loaded model takes, as its backend tells (bytes). */
  sized({ key, size, load }: ModelCard): void {
    this.#bytes.set(key, load?.size ?? size);
  }

  /** Forgets all other models. */
  keep(models: ReadonlySet<string>): void {
    for (const model of this.#bytes.keys()) if (!models.has(model)) this.#bytes.delete(model);
  }

  /** Bytes; what its file has when it was never seen loaded. */
  bytesOf(model: string, fileBytes: number): number {
    return this.#bytes.get(model) ?? fileBytes;
  }

  /** True when a model has a place beside others. */
  holds(model: string, others: readonly string[]): boolean {
    const sized = (key: string): { readonly bytes: number } => ({ bytes: this.bytesOf(key, 0) });
    return fits(sized(model), others.map(sized), this.places);
  }

  /** These are in memory. @param evicted a load has just thrown others out */
  seen(models: readonly string[], evicted: boolean): void {
    const bytes = models.reduce((sum, model) => sum + this.bytesOf(model, 0), 0);
    this.#models = evicted ? Math.max(1, models.length) : Math.max(this.#models, models.length);
    this.#most = evicted ? bytes : Math.max(this.#most, bytes);
  }
}
