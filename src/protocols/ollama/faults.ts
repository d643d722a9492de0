import { Fault, type FaultCode } from "../../core/fault.ts";
import { isModelName } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import type { FaultEncoder } from "../codec.ts";

/** The endpoint that names an unknown model. Ollama has a message for each. */
type ModelUse = Endpoint | "ollama-show";

const EMBEDDINGS: ReadonlySet<ModelUse> = new Set<ModelUse>([
  "ollama-embed",
  "ollama-embeddings",
  "openai-embeddings",
]);

/** The fault of an unknown model, in Ollama's words for the endpoint. A name outside of Ollama's grammar is invalid. */
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

/** Routing errors, which are plain text on every path. */
const TEXTS: ReadonlyMap<FaultCode, string> = new Map<FaultCode, string>([
  ["path_not_found", "404 page not found"],
  ["method_not_allowed", "405 method not allowed"],
]);

/** Ollama's errors: one `error` string, or plain text for routing errors. */
export const ollamaFaults: FaultEncoder = {
  body(fault) {
    const text = TEXTS.get(fault.code);
    if (text !== undefined) return { contentType: "text/plain", body: text };
    return { contentType: "application/json; charset=utf-8", body: JSON.stringify({ error: fault.message }) };
  },
  frame: (fault) => `${JSON.stringify({ error: fault.message })}\n`,
};
