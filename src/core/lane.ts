import type { ModelCard } from "./model.ts";

/**
 * A lane is the queue of a model's tasks for one endpoint that some of its backends may lack. Only workers whose backend
 * has that endpoint read it, so that a task never comes into the hands of one that cannot run it. All other tasks of a
 * model are in its plain queue, whose name is the model's key.
 */

/** The endpoints with a lane, and the name of each lane: the ability that a model's card tells. */
export const LANES = {
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
export type LaneEndpoint = keyof typeof LANES;

/** Names of all lanes. */
export const LANE_NAMES: readonly string[] = Object.values(LANES);

/** Parts a lane from its model: no model is served whose id has a control character. */
const MARK = "\u001f";

/** The form of a lane's name, as other processes may tell it. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;

export function hasLane(endpoint: string): endpoint is LaneEndpoint {
  return Object.hasOwn(LANES, endpoint);
}

/** The name of the queue that a task of a model goes to. @param model its key */
export function queueFor(model: string, endpoint: string): string {
  return hasLane(endpoint) ? model + MARK + LANES[endpoint] : model;
}

/** The model key in the name of a queue. */
export function modelOf(queue: string): string {
  const at = queue.indexOf(MARK);
  return at < 0 ? queue : queue.slice(0, at);
}

/** The lane in the name of a queue; undefined for the plain queue of a model. */
export function laneOf(queue: string): string | undefined {
  const at = queue.indexOf(MARK);
  return at < 0 ? undefined : queue.slice(at + MARK.length);
}

/** A queue for people: `bge-m3`, `bge-m3 (rerank)`. */
export function queueWords(queue: string): string {
  const lane = laneOf(queue);
  return lane === undefined ? queue : `${modelOf(queue)} (${lane})`;
}

/** True for a text that may name a lane. */
export function isLane(text: unknown): text is string {
  return typeof text === "string" && NAME.test(text);
}

/** The names of all queues that are read for a model on a backend. */
export function queuesOf({ key, endpoints = [] }: Pick<ModelCard, "key" | "endpoints">): string[] {
  return endpoints.length === 0 ? [key] : [key, ...endpoints.map((lane) => key + MARK + lane)];
}

/** True when tasks of a queue can run with this model. */
export function servesQueue({ key, endpoints = [] }: ModelCard, queue: string): boolean {
  const lane = laneOf(queue);
  return key === modelOf(queue) && (lane === undefined || endpoints.includes(lane));
}
