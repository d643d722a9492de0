import type { ModelCard } from "../core/model.ts";

/** A model whose server tells no date has that of its first sight, so that the list stays as it is. */
export class FirstSeen {
  #seen: ReadonlyMap<string, number> = new Map();

  /** The cards, each with a date. */
  dated(models: readonly ModelCard[]): readonly ModelCard[] {
    const now = Date.now();
    const before = this.#seen;
    this.#seen = new Map(models.map(({ name }) => [name, before.get(name) ?? now]));
    return models.map((card) => {
      return card.modifiedAt > 0 ? card : { ...card, modifiedAt: this.#seen.get(card.name) ?? now };
    });
  }
}
