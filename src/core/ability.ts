import type { ModelCard } from "./model.ts";

/**
 * An ability is an endpoint that some backends of a model may lack, such as rerank. Its tasks wait in a queue of
 * their own, the ability queue. Only workers whose backend has the endpoint read that queue. All other tasks of a
 * model are in its plain queue, which is named after the model's key.
 */

/** The endpoints that are abilities, with their names in a model's card. */
export const ABILITIES = {
  "openai-rerank": "rerank",
  "openai-score": "score",
  "openai-tokenize": "tokenize",
  "openai-detokenize": "detokenize",
  "openai-moderations": "moderations",
  "openai-images": "images",
  "openai-speech": "speech",
  "openai-infill": "infill",
  "openai-transcriptions": "transcriptions",
  "openai-translations": "translations",
  "openai-image-edits": "image-edits",
  "openai-image-variations": "image-variations",
} as const;

/** An endpoint that some backends of a model may lack. */
export type AbilityEndpoint = keyof typeof ABILITIES;

/** Names of all abilities. */
export const ABILITY_NAMES: readonly string[] = Object.values(ABILITIES);

/** Separates the model from the ability in the name of a queue. No served model has a control character in its name. */
const MARK = "\u001f";

/** Stands for the ability in the key of a model's plain queue. No ability has this name. */
export const PLAIN_QUEUE = "p0";

/** The syntax of an ability's name. Other versions may announce abilities that are unknown here. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;

export function needsAbility(endpoint: string): endpoint is AbilityEndpoint {
  return Object.hasOwn(ABILITIES, endpoint);
}

/** The name of the queue for a task of a model. @param model its key */
export function queueFor(model: string, endpoint: string): string {
  return needsAbility(endpoint) ? model + MARK + ABILITIES[endpoint] : model;
}

/** The model key in the name of a queue. */
export function modelOf(queue: string): string {
  const at = queue.indexOf(MARK);
  return at < 0 ? queue : queue.slice(0, at);
}

/** The ability in the name of a queue; undefined for the plain queue of a model. */
export function abilityOf(queue: string): string | undefined {
  const at = queue.indexOf(MARK);
  return at < 0 ? undefined : queue.slice(at + MARK.length);
}

/** The display name of a queue: `bge-m3`, `bge-m3 (rerank)`. */
export function queueLabel(queue: string): string {
  const ability = abilityOf(queue);
  return ability === undefined ? queue : `${modelOf(queue)} (${ability})`;
}

/** True for a valid name of an ability. */
export function isAbility(text: unknown): text is string {
  return typeof text === "string" && NAME.test(text) && text !== PLAIN_QUEUE;
}

/** The names of all queues that a backend with this model reads. */
export function queuesOf({ key, endpoints = [] }: Pick<ModelCard, "key" | "endpoints">): string[] {
  return endpoints.length === 0 ? [key] : [key, ...endpoints.map((ability) => key + MARK + ability)];
}

/** True when tasks of a queue can run with this model. */
export function servesQueue({ key, endpoints = [] }: ModelCard, queue: string): boolean {
  const ability = abilityOf(queue);
  return key === modelOf(queue) && (ability === undefined || endpoints.includes(ability));
}
