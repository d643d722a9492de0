import { isoTime } from "../core/iso-time.ts";
import type { ModelCard, ModelLoad } from "../core/model.ts";
import { greatest } from "../core/long-lists.ts";

/** The bodies of the endpoints that list models, in Ollama's and OpenAI's dialect. */

/** The version of Ollama's API that this server follows. Clients compare it; Open WebUI parses it as numbers. */
const OLLAMA_API_VERSION = "0.33.0";

/** Body of `GET /api/tags` (API.md, section 3). */
export function tagsBody(models: readonly ModelCard[]): string {
  return JSON.stringify({ models: models.map(toTag) });
}

function toTag(card: ModelCard): object {
  const name = tagged(card.name);
  return {
    name,
    model: name,
    modified_at: isoTime(card.modifiedAt),
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

/** Ollama's expiry of a model that stays in memory. */
const NEVER: number = Date.UTC(2319, 0, 1);

/**
 * Body of `GET /api/ps`: models in memory, the latest expiry first. One entry stands for all servers with a model:
 * the largest sizes, the latest expiry.
 */
export function psBody(cards: readonly ModelCard[]): string {
  const resident = Map.groupBy(
    cards.filter((card) => card.resident),
    (card) => card.key,
  );
  const entries = [...resident.values()].flatMap(([card, ...others]) =>
    card === undefined ? [] : { card, load: loadOf([card, ...others]) },
  );
  entries.sort((a, b) => b.load.expiresAt - a.load.expiresAt);
  return JSON.stringify({ models: entries.map(({ card, load }) => toResident(card, load)) });
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

function toResident(card: ModelCard, load: ReturnType<typeof loadOf>): object {
  const name = tagged(card.name);
  return {
    name,
    model: name,
    size: load.size,
    digest: card.digest,
    details: detailsOf(card),
    expires_at: isoTime(load.expiresAt),
    size_vram: load.sizeVram,
    context_length: load.contextLength,
  };
}

/**
 * Body of `POST /api/show` for a model whose server has no such endpoint. It has the fields that clients need (API.md, section 3). The template only shows whether the model can fill in the middle.
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
    modified_at: isoTime(card.modifiedAt),
  });
}

/** Body of `GET /api/status`: this server has no cloud. */
export const STATUS_BODY: string = JSON.stringify({ cloud: { disabled: true, source: "env" } });

/** Adds Ollama's default tag to a name without one. Ids of other backends may hold a colon. */
function tagged(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1).includes(":") ? name : `${name}:latest`;
}

/** Body of `GET /v1/models`. The ids are valid values of `model`. */
export function modelsBody(models: readonly ModelCard[]): string {
  return JSON.stringify({ object: "list", data: models.map((card) => toModel(card, card.name)) });
}

/** Body of `GET /v1/models/{id}`, with the requested id. */
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

/** Body of `GET /api/version`. */
export function versionBody(productVersion: string): string {
  return JSON.stringify({ version: OLLAMA_API_VERSION, stargazer: productVersion });
}
