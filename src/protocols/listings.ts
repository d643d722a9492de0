import type { ModelCard, ModelLoad } from "../core/model.ts";
import { greatest } from "../core/long-lists.ts";

/** The bodies of the endpoints that list models, in each dialect. */

/** The version of Ollama's API that the Ollama dialect follows; clients compare it, Open WebUI parses it as numbers. */
export const OLLAMA_API_VERSION = "0.33.0";

/** Answer of `GET /api/tags` (API.md, section 3). */
export function tagsBody(models: readonly ModelCard[]): string {
  return JSON.stringify({ models: models.map(toTag) });
}

function toTag(card: ModelCard): object {
  const name = tagged(card.name);
  return {
    name,
    model: name,
    modified_at: new Date(card.modifiedAt).toISOString(),
    size: card.size,
    digest: card.digest,
    details: {
      ...detailsOf(card),
      ...(card.contextLength > 0 ? { context_length: card.contextLength } : {}),
      ...(card.embeddingLength === undefined ? {} : { embedding_length: card.embeddingLength }),
    },
    capabilities: card.capabilities,
  };
}

function detailsOf(card: ModelCard): object {
  return {
    parent_model: "",
    format: card.format,
    family: card.family,
    families: card.family === "" ? null : [card.family],
    parameter_size: card.parameterSize,
    quantization_level: card.quantization,
  };
}

/** When a model that stays in memory leaves it, as Ollama says it. */
const NEVER: number = Date.UTC(2319, 0, 1);

/**
 * Answer of `GET /api/ps`: the models in memory, those that stay longest first. Several servers that hold one model
 * are one entry: the largest sizes, the latest end.
 */
export function psBody(cards: readonly ModelCard[]): string {
  const held = Map.groupBy(
    cards.filter((card) => card.resident),
    (card) => card.key,
  );
  const entries = [...held.values()].flatMap(([card, ...others]) =>
    card === undefined ? [] : { card, load: loadOf([card, ...others]) },
  );
  entries.sort((a, b) => b.load.expiresAt - a.load.expiresAt);
  return JSON.stringify({ models: entries.map(({ card, load }) => toHeld(card, load)) });
}

function loadOf(cards: readonly ModelCard[]): ModelLoad & { readonly expiresAt: number } {
  return {
    size: largest(cards, (card) => card.load?.size ?? card.size),
    sizeVram: largest(cards, (card) => card.load?.sizeVram ?? 0),
    expiresAt: largest(cards, (card) => card.load?.expiresAt ?? NEVER),
    contextLength: largest(cards, (card) => card.load?.contextLength || card.contextLength),
  };
}

function largest(cards: readonly ModelCard[], of: (card: ModelCard) => number): number {
  return greatest(cards.map(of));
}

function toHeld(card: ModelCard, load: ReturnType<typeof loadOf>): object {
  const name = tagged(card.name);
  return {
    name,
    model: name,
    size: load.size,
    digest: card.digest,
    details: detailsOf(card),
    expires_at: new Date(load.expiresAt).toISOString(),
    size_vram: load.sizeVram,
    context_length: load.contextLength,
  };
}

/**
 * Answer of `POST /api/show` for a model whose server has no such call: what clients look for, from what is known
 * (API.md, section 3). A template says nothing but whether the model can fill in the middle.
 */
export function showBody(card: ModelCard): string {
  const family = card.family || "unknown";
  return JSON.stringify({
    modelfile: `# ${card.name}`,
    template: card.capabilities.includes("insert") ? "{{ .Prompt }}{{ .Suffix }}" : "{{ .Prompt }}",
    details: detailsOf(card),
    model_info: {
      "general.architecture": family,
      "general.basename": card.name,
      ...(card.contextLength > 0 ? { [`${family}.context_length`]: card.contextLength } : {}),
    },
    capabilities: [...card.capabilities, ...(card.endpoints ?? [])],
    modified_at: new Date(card.modifiedAt).toISOString(),
  });
}

/** Answer of `GET /api/status`: there is no cloud behind this server. */
export const STATUS_BODY: string = JSON.stringify({ cloud: { disabled: true, source: "env" } });

/** Ollama always lists a name with its tag; ids of other backends may hold a colon already or not. */
function tagged(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1).includes(":") ? name : `${name}:latest`;
}

/** Answer of `GET /v1/models`. The ids are what `model` can be set to. */
export function modelsBody(models: readonly ModelCard[]): string {
  return JSON.stringify({ object: "list", data: models.map((card) => toModel(card, card.name)) });
}

/** Answer of `GET /v1/models/{id}`: echoes the id that was asked for. */
export function modelBody(card: ModelCard, asked: string): string {
  return JSON.stringify(toModel(card, asked));
}

function toModel(card: ModelCard, id: string): object {
  return {
    id,
    object: "model",
    created: Math.floor(card.modifiedAt / 1000),
    owned_by: card.ownedBy === "" ? "library" : card.ownedBy,
    ...(card.endpoints === undefined ? {} : { endpoints: card.endpoints }),
  };
}

/** Answer of `GET /api/version`. */
export function versionBody(productVersion: string): string {
  return JSON.stringify({ version: OLLAMA_API_VERSION, stargazer: productVersion });
}
