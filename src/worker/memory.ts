import type { ModelCard } from "../core/model.ts";
import { fitsWith } from "../core/placement.ts";
import type { MemoryCapacity } from "../core/placement.ts";

/**
 * The room in the memory of a backend: the most models that were seen there at once, and their bytes. Until two were
 * seen it is one. A load that evicts a model shows that there is less room.
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

  get capacity(): MemoryCapacity {
    if (this.#fixed > 0) return { models: this.#fixed, bytes: Infinity };
    return { models: this.#models, bytes: this.#most };
  }

  /** Records the memory of a loaded model, as its backend reports it (bytes). */
  sized({ key, size, load }: ModelCard): void {
    this.#bytes.set(key, load?.size ?? size);
  }

  /** Forgets all other models. */
  keep(models: ReadonlySet<string>): void {
    for (const model of this.#bytes.keys()) if (!models.has(model)) this.#bytes.delete(model);
  }

  /** Returns the memory of a model (bytes): the size of its file when it was never seen loaded. */
  bytesOf(model: string, fileBytes: number): number {
    return this.#bytes.get(model) ?? fileBytes;
  }

  /** True when a model fits beside others. */
  holds(model: string, others: readonly string[]): boolean {
    const sized = (key: string): { readonly bytes: number } => ({ bytes: this.bytesOf(key, 0) });
    return fitsWith(sized(model), others.map(sized), this.capacity);
  }

  /** Records the models in memory. @param evicted a load has just evicted others */
  seen(models: readonly string[], evicted: boolean): void {
    const bytes = models.reduce((sum, model) => sum + this.bytesOf(model, 0), 0);
    this.#models = evicted ? Math.max(1, models.length) : Math.max(this.#models, models.length);
    this.#most = evicted ? bytes : Math.max(this.#most, bytes);
  }
}
