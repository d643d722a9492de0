import type { NeutralRequest } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Endpoint } from "../../core/task.ts";
import type { ServerEndpoint } from "../protocol.ts";
import { openCompletionReply } from "./completion-reply.ts";
import { readCompletion } from "./completion-request.ts";
import { openEmbeddingsReply } from "./embed-reply.ts";
import { readEmbeddings } from "./embed-request.ts";
import { flagField, textField } from "./fields.ts";
import { openReply } from "./reply.ts";
import { type Read, readRequest, translatable } from "./request.ts";
import { openResponse } from "./responses-reply.ts";
import { readResponses } from "./responses-request.ts";

/** Checks in Ollama's order: what is asked before the model. */
function serve<T extends NeutralRequest>(
  endpoint: Endpoint,
  read: (body: JsonObject) => Read<T>,
  reply: ServerEndpoint["reply"],
): ServerEndpoint {
  return {
    endpoint,
    dialect: "openai",
    open(body) {
      read(body);
      const model = textField(body, "model") ?? "";
      if (model === "") throw new Fault("model_required", "model is required");
      return { model, stream: endpoint !== "openai-embeddings" && (flagField(body, "stream") ?? false) };
    },
    decode: (body) => translatable(read(body)),
    reply,
  };
}

/** What OpenAI clients see of the endpoints that take tasks. */
export const openaiEndpoints: readonly ServerEndpoint[] = [
  serve("openai-chat", readRequest, openReply),
  serve("openai-completion", readCompletion, openCompletionReply),
  serve("openai-embeddings", readEmbeddings, openEmbeddingsReply),
  serve("openai-responses", readResponses, openResponse),
];
