import type { NeutralRequest } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Endpoint } from "../../core/task.ts";
import type { ReplyContext, ServerEndpoint } from "../protocol.ts";
import { chatLayout, generateLayout, type Layout } from "./layout.ts";
import { isLoad, readChat, readGenerate, readOpening } from "./request.ts";
import { StreamWriter, WholeWriter } from "./writer.ts";

function serve(
  endpoint: Endpoint,
  decode: (body: JsonObject) => NeutralRequest,
  layout: Layout,
): ServerEndpoint {
  return {
    endpoint,
    dialect: "ollama",
    open(body) {
      const opening = readOpening(body, endpoint);
      decode(body);
      return opening;
    },
    decode,
    reply: (context: ReplyContext) =>
      context.stream && !isLoad(context.body, endpoint)
        ? new StreamWriter(layout, context)
        : new WholeWriter(layout, context),
  };
}

/** What clients of Ollama see of the endpoints that take tasks. */
export const ollamaEndpoints: readonly ServerEndpoint[] = [
  serve("ollama-generate", readGenerate, generateLayout),
  serve("ollama-chat", readChat, chatLayout),
];
