import { Fault, type FaultCode } from "../../core/fault.ts";
import { isModelName } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import type { FaultFace } from "../protocol.ts";

/** Where a model is asked for: Ollama has its own phrase at each. */
export type ModelUse = Endpoint | "ollama-show";

const EMBEDDINGS: ReadonlySet<ModelUse> = new Set<ModelUse>([
  "ollama-embed",
  "ollama-embeddings",
  "openai-embeddings",
]);

/**
 * The phrase of an unknown model, as Ollama says it where the model was asked for. A name that no model of Ollama's
 * could have is a bad one: only other servers have such ids.
 */
export function modelNotFound(model: string, use: ModelUse): Fault {
  if (model !== "" && use.startsWith("ollama-") && !isModelName(model)) {
    return new Fault("model_name_invalid", "invalid model name");
  }
  const message = EMBEDDINGS.has(use)
    ? `model "${model}" not found, try pulling it first`
    : `model '${use === "ollama-show" ? withTag(model) : model}' not found`;
  return new Fault("model_not_found", message);
}

function withTag(model: string): string {
  return model.includes(":", model.lastIndexOf("/") + 1) ? model : `${model}:latest`;
}

/** Faults of routing: they are plain text on every path. */
const TEXTS: ReadonlyMap<FaultCode, string> = new Map<FaultCode, string>([
  ["path_not_found", "404 page not found"],
  ["method_not_allowed", "405 method not allowed"],
]);

/** How Ollama tells its clients about a fault: one `error` string; plain text where no route was found. */
export const ollamaFaults: FaultFace = {
  body(fault) {
    const text = TEXTS.get(fault.code);
    if (text !== undefined) return { contentType: "text/plain", body: text };
    return { contentType: "application/json; charset=utf-8", body: JSON.stringify({ error: fault.message }) };
  },
  frame: (fault) => `${JSON.stringify({ error: fault.message })}\n`,
};
