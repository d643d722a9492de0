import type { BackendState } from "../backends/backend.ts";
import type { ModelCard } from "../core/model.ts";

/** Models of one backend that are served: each has a queue, and is told to every gateway every few seconds. */
export const MOST_MODELS = 2000;

/** Bytes of the cards of one backend, as they are announced, and of all of a worker's backends. */
export const MOST_CARD_BYTES: number = 1024 * 1024;
const MOST_OF_WORKER = 8 * MOST_CARD_BYTES;

/** Ability queues of all models of one backend: each is a queue more that each claim looks at, which takes Redis some 0.5 us. */
const MOST_ABILITIES = 1000;

/** Most characters kept of a text in a card, a family's name for instance. */
const MOST_TEXT = 256;

/** Most words for what a model can do. */
const MOST_CAPABILITIES = 32;

/** The part of a backend's models that is served. */
export interface BoundState {
  readonly state: BackendState;
  /** Names of models that are left out, in the backend's order. */
  readonly left: readonly string[];
}

/**
 * Bounds what a backend says of its models, so that one that lists a hundred thousand does not shut out those of its
 * neighbours: all of a worker's backends are in one announcement. Models in memory stay, then the first ones listed.
 * @param backends how many the worker has
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

/** Ability queues that are left out are those of the last models. */
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
