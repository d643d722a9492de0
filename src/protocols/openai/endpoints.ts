import type { NeutralRequest } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Endpoint } from "../../core/task.ts";
import type { ServerCodec } from "../codec.ts";
import { openCompletionReply } from "./completion-reply.ts";
import { readCompletion } from "./completion-request.ts";
import { openEmbeddingsReply } from "./embed-reply.ts";
import { readOpenaiEmbeddings } from "./embed-request.ts";
import { flagField, textField } from "../fields.ts";
import { openChatReply } from "./chat-reply.ts";
import { type Translation, readChatCompletion, neutralRequest } from "./chat-request.ts";
import { openResponse } from "./responses-reply.ts";
import { readResponses } from "./responses-request.ts";

/** Checks a body in Ollama's order: the content before the model. */
function serve<T extends NeutralRequest>(
  endpoint: Endpoint,
  read: (body: JsonObject) => Translation<T>,
  reply: ServerCodec["reply"],
): ServerCodec {
  return {
    endpoint,
    dialect: "openai",
    validate(body) {
      read(body);
      const model = textField(body, "model") ?? "";
      if (model === "") throw new Fault("model_required", "model is required");
      return { model, stream: endpoint !== "openai-embeddings" && (flagField(body, "stream") ?? false) };
    },
    decode: (body) => neutralRequest(read(body)),
    reply,
  };
}

/** The server codecs of OpenAI's API. */
export const openaiServerCodecs: readonly ServerCodec[] = [
  serve("openai-chat", readChatCompletion, openChatReply),
  serve("openai-completion", readCompletion, openCompletionReply),
  serve("openai-embeddings", readOpenaiEmbeddings, openEmbeddingsReply),
  serve("openai-responses", readResponses, openResponse),
];
