/** A model that a backend can serve, as far as the choice of the next task is concerned. */
export interface Servable {
  readonly key: string;
  /** Loaded: answers without a load. */
  readonly resident: boolean;
}

/** Every so many turns loaded models do not go first, so that the others are not starved. */
const FAIR_TURN = 8;

/**
 * The order in which a backend looks at its models' queues. Loaded models first: a model is not thrown out of memory
 * while work for it is waiting. Within a class the start rotates with `turn`, so that no model is always first.
 * @param turn counts the looks of this backend
 */
export function serveOrder(models: readonly Servable[], turn: number): string[] {
  const fair = turn % FAIR_TURN === FAIR_TURN - 1;
  if (fair) return rotate(models, Math.floor(turn / FAIR_TURN)).map((model) => model.key);
  const warm = models.filter((model) => model.resident);
  const cold = models.filter((model) => !model.resident);
  return [...rotate(warm, turn), ...rotate(cold, turn)].map((model) => model.key);
}

function rotate<Item>(items: readonly Item[], turn: number): Item[] {
  if (items.length === 0) return [];
  const start = turn % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
