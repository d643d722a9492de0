import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { isObject } from "../core/json.ts";
import type { Json } from "../core/json.ts";

const POLL_MS = 250;

/** A gateway and a client key; empty where no key is needed. */
interface GatewayAccess {
  readonly url: string;
  readonly key: string;
}

/** Waits until a gateway lists a model. Resolves with a chat model; undefined when `signal` aborts first. */
export async function firstModel(gateway: GatewayAccess, signal: AbortSignal): Promise<string | undefined> {
  while (!signal.aborted) {
    const model = chatModel(await listModels(gateway, signal));
    if (model !== undefined) return model;
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

/**
 * The first chat model of a list; undefined for an empty list. Embedding models cannot chat, and only their usual names
 * show them.
 */
export function chatModel(names: readonly string[]): string | undefined {
  return names.find((name) => !/embed/i.test(name)) ?? names[0];
}

/** Model ids of GET /v1/models; none while the gateway does not answer. */
async function listModels(gateway: GatewayAccess, signal: AbortSignal): Promise<string[]> {
  const body = await fetchText(gateway, "/v1/models", signal).catch(() => "{}");
  const document = parsed(body);
  const list = isObject(document) ? document["data"] : undefined;
  if (!Array.isArray(list)) return [];
  return list.flatMap((model) => (isObject(model) && typeof model["id"] === "string" ? model["id"] : []));
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

function fetchText({ url, key }: GatewayAccess, path: string, signal: AbortSignal): Promise<string> {
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
