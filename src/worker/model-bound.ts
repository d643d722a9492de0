import type { BackendState } from "../backends/backend.ts";
import type { ModelCard } from "../core/model.ts";

/** Most models of one backend that are served: each has a queue, and is announced to every gateway every few seconds. */
export const MOST_MODELS = 2000;

/** Most bytes of the announced cards of one backend, and of all backends of a worker. */
export const MOST_CARD_BYTES: number = 1024 * 1024;
const MOST_OF_WORKER = 8 * MOST_CARD_BYTES;

/** Most ability queues of one backend: each claim reads each of them, which takes Redis some 0.5 us. */
const MOST_ABILITIES = 1000;

/** Most characters kept of a text in a card, a family's name for instance. */
const MOST_TEXT = 256;

/** Most capabilities of a model. */
const MOST_CAPABILITIES = 32;

/** The part of a backend's models that is served. */
export interface BoundState {
  readonly state: BackendState;
  /** Names of models that are left out, in the backend's order. */
  readonly left: readonly string[];
}

/**
 * Bounds the models that a backend lists. A backend that lists a hundred thousand must not shut out its neighbours: one
 * announcement holds all backends of a worker. Models in memory stay, then the first ones listed.
 * @param backends count of the worker's backends
 */
export function boundState(given: BackendState, backends: number): BoundState {
  const mostBytes = Math.min(MOST_CARD_BYTES, MOST_OF_WORKER / backends);
  const models = boundAbilities(given.models.map(boundCard));
  const kept = new Set<ModelCard>();
  let bytes = 0;
  for (const card of [...models.filter(({ resident }) => resident), ...models]) {
    if (kept.size >= MOST_MODELS) break;
    if (kept.has(card)) continue;
    bytes += Buffer.byteLength(JSON.stringify(card));
    if (bytes > mostBytes) break;
    kept.add(card);
  }
  const left = models.filter((card) => !kept.has(card)).map(({ name }) => name);
  return { state: { ...given, models: models.filter((card) => kept.has(card)) }, left };
}

/** Leaves out the ability queues of the last models. */
function boundAbilities(models: readonly ModelCard[]): readonly ModelCard[] {
  let abilities = 0;
  return models.map((card) => {
    const { endpoints = [], ...rest } = card;
    abilities += endpoints.length;
    return abilities > MOST_ABILITIES ? rest : card;
  });
}

function boundCard(card: ModelCard): ModelCard {
  return {
    ...card,
    digest: cut(card.digest),
    format: cut(card.format),
    family: cut(card.family),
    parameterSize: cut(card.parameterSize),
    quantization: cut(card.quantization),
    ownedBy: cut(card.ownedBy),
    capabilities: card.capabilities.slice(0, MOST_CAPABILITIES).map(cut),
  };
}

function cut(text: string): string {
  return text.slice(0, MOST_TEXT);
}
