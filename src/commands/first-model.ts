import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { isObject } from "../core/json.ts";
import type { Json } from "../core/json.ts";

const POLL_MS = 250;

/** A gateway, with a key of a client; empty where none is needed. */
interface Place {
  readonly url: string;
  readonly key: string;
}

/** Waits until a gateway lists a model. Resolves with a model to chat with; undefined when `signal` aborts before. */
export async function firstModel(place: Place, signal: AbortSignal): Promise<string | undefined> {
  while (!signal.aborted) {
    const model = chatModel(await listModels(place, signal));
    if (model !== undefined) return model;
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

/**
 * The first of these models that can chat; undefined of none. Those made for embeddings cannot, and a list does not tell
 * them apart but by their usual names.
 */
export function chatModel(names: readonly string[]): string | undefined {
  return names.find((name) => !/embed/i.test(name)) ?? names[0];
}

/** Ids of GET /v1/models; none while the gateway does not answer. */
async function listModels(place: Place, signal: AbortSignal): Promise<string[]> {
  const body = await fetchText(place, "/v1/models", signal).catch(() => "{}");
  const document = parse(body);
  const list = isObject(document) ? document["data"] : undefined;
  if (!Array.isArray(list)) return [];
  return list.flatMap((model) => (isObject(model) && typeof model["id"] === "string" ? model["id"] : []));
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

function fetchText({ url, key }: Place, path: string, signal: AbortSignal): Promise<string> {
  const headers = key === "" ? {} : { authorization: `Bearer ${key}` };
  return new Promise((resolve, reject) => {
    const request = get(url + path, { signal, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body += text));
      response.once("end", () => resolve(body));
      response.once("error", reject);
    });
    request.once("error", reject);
  });
}
