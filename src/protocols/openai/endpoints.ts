import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Opening, ServerEndpoint } from "../protocol.ts";
import { flagField, textField } from "./fields.ts";
import { openReply } from "./reply.ts";
import { readRequest, translatable } from "./request.ts";

/** Checks in Ollama's order: the messages before the model. */
function openChat(body: JsonObject): Opening {
  readRequest(body);
  const model = textField(body, "model") ?? "";
  if (model === "") throw new Fault("model_required", "model is required");
  return { model, stream: flagField(body, "stream") ?? false };
}

/** What OpenAI clients see: POST /v1/chat/completions. */
export const openaiEndpoints: readonly ServerEndpoint[] = [
  {
    endpoint: "openai-chat",
    dialect: "openai",
    open: openChat,
    decode: (body) => translatable(readRequest(body)),
    reply: openReply,
  },
];
