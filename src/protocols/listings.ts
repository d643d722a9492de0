import type { ModelCard } from "../core/model.ts";

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
      parent_model: "",
      format: card.format,
      family: card.family,
      families: card.family === "" ? null : [card.family],
      parameter_size: card.parameterSize,
      quantization_level: card.quantization,
      ...(card.contextLength > 0 ? { context_length: card.contextLength } : {}),
    },
    capabilities: card.capabilities,
  };
}

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
  };
}

/** Answer of `GET /api/version`. */
export function versionBody(productVersion: string): string {
  return JSON.stringify({ version: OLLAMA_API_VERSION, stargazer: productVersion });
}
