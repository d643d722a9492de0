import type { End, Part } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import { unexpectedPart } from "../codec.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import { encodeVector, type EmbeddingPart } from "../vectors.ts";
import { type Encoding, readEncoding } from "./embed-request.ts";

/** A writer of the reply of POST /v1/embeddings. */
export function openEmbeddingsReply(context: ReplyContext): ReplyWriter {
  return new EmbeddingsWriter(context);
}

/** A vector as an entry of `data`. */
export function embeddingEntry({ index, vector }: EmbeddingPart, encoding: Encoding): JsonObject {
  const embedding = encoding === "base64" ? encodeVector(vector) : [...vector];
  return { object: "embedding", embedding, index };
}

class EmbeddingsWriter implements ReplyWriter {
  readonly contentType = "application/json";
  readonly #context: ReplyContext;
  readonly #encoding: Encoding;
  readonly #data: JsonObject[] = [];

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#encoding = readEncoding(context.body);
  }

  write(part: Part): string {
    switch (part.type) {
      case "embedding":
        this.#data.push(embeddingEntry(part, this.#encoding));
        return "";
      case "end":
        return this.#end(part);
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        throw unexpectedPart(part);
    }
  }

  #end({ usage }: End): string {
    const tokens = usage?.promptTokens ?? 0;
    return JSON.stringify({
      object: "list",
      data: this.#data,
      model: this.#context.model,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  }
}
