import type { NeutralRequest } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Endpoint } from "../../core/task.ts";
import type { ReplyContext, ServerCodec } from "../codec.ts";
import { openEmbed, openEmbeddings } from "./embed-reply.ts";
import { readOllamaEmbed, readOllamaEmbeddings } from "./embed-request.ts";
import { chatLayout, generateLayout, type Layout } from "./object-layout.ts";
import { isLoad, readOllamaChat, readGenerate, readRequestHead } from "./request.ts";
import { LineStreamWriter, ObjectWriter } from "./reply-writer.ts";

type Decode = (body: JsonObject) => NeutralRequest;

function serve(endpoint: Endpoint, decode: Decode, reply: ServerCodec["reply"]): ServerCodec {
  return {
    endpoint,
    dialect: "ollama",
    validate(body) {
      const opening = readRequestHead(body, endpoint);
      decode(body);
      return opening;
    },
    decode,
    reply,
  };
}

function serveText(endpoint: Endpoint, decode: Decode, layout: Layout): ServerCodec {
  return serve(endpoint, decode, (context: ReplyContext) =>
    context.stream && !isLoad(context.body, endpoint)
      ? new LineStreamWriter(layout, context)
      : new ObjectWriter(layout, context),
  );
}

/** The server codecs of Ollama's API. */
export const ollamaServerCodecs: readonly ServerCodec[] = [
  serveText("ollama-generate", readGenerate, generateLayout),
  serveText("ollama-chat", readOllamaChat, chatLayout),
  serve("ollama-embed", readOllamaEmbed, openEmbed),
  serve("ollama-embeddings", readOllamaEmbeddings, openEmbeddings),
];
