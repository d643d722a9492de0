import type { NeutralRequest } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Endpoint } from "../../core/task.ts";
import type { ReplyContext, ServerEndpoint } from "../protocol.ts";
import { openEmbed, openEmbeddings } from "./embed-reply.ts";
import { readEmbed, readEmbeddings } from "./embed-request.ts";
import { chatLayout, generateLayout, type Layout } from "./layout.ts";
import { isLoad, readChat, readGenerate, readOpening } from "./request.ts";
import { StreamWriter, WholeWriter } from "./writer.ts";

type Decode = (body: JsonObject) => NeutralRequest;

function serve(endpoint: Endpoint, decode: Decode, reply: ServerEndpoint["reply"]): ServerEndpoint {
  return {
    endpoint,
    dialect: "ollama",
    open(body) {
      const opening = readOpening(body, endpoint);
      decode(body);
      return opening;
    },
    decode,
    reply,
  };
}

function serveText(endpoint: Endpoint, decode: Decode, layout: Layout): ServerEndpoint {
  return serve(endpoint, decode, (context: ReplyContext) =>
    context.stream && !isLoad(context.body, endpoint)
      ? new StreamWriter(layout, context)
      : new WholeWriter(layout, context),
  );
}

/** What clients of Ollama see of the endpoints that take tasks. */
export const ollamaEndpoints: readonly ServerEndpoint[] = [
  serveText("ollama-generate", readGenerate, generateLayout),
  serveText("ollama-chat", readChat, chatLayout),
  serve("ollama-embed", readEmbed, openEmbed),
  serve("ollama-embeddings", readEmbeddings, openEmbeddings),
];
