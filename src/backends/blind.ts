import type { NeutralRequest } from "../core/chat.ts";
import type { ModelCard } from "../core/model.ts";
import { fitChat, type Fitted } from "../protocols/fitting.ts";
import type { HttpKind } from "./profiles.ts";

/** The kinds of servers that list by model what it can do; others say the same of all, or nothing. */
const TELLING: ReadonlySet<HttpKind> = new Set<HttpKind>(["ollama", "lmstudio"]);

/**
 * Names of the models that cannot see images, as far as the server tells: a list with "completion" alone may be one of a
 * server that lists nothing.
 */
export function blindModels(kind: HttpKind, models: readonly ModelCard[]): ReadonlySet<string> {
  const blind = TELLING.has(kind)
    ? models.filter(({ capabilities: told }) => told.length > 1 && !told.includes("vision"))
    : [];
  return new Set(blind.map(({ name }) => name));
}

/**
 * The request of a model: where that is blind, images of the past, and those that tools have brought, become a sentence.
 */
export function withoutImages<T extends NeutralRequest>(request: T, isBlind: boolean): Fitted<T> {
  const isImage = (type: string): boolean => type === "image" || type === "image-url";
  return fitChat(request, ({ type }) => (isBlind && isImage(type) ? "image" : undefined));
}
