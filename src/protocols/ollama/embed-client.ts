import type { EmbedInput, EmbedRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { ReplyReader } from "../codec.ts";
import { embeddingParts } from "../vectors.ts";
import { replyBuffer } from "../reply-limits.ts";
import { writeOptions } from "./options.ts";
import { incompleteReply, parseReplyLine, timingsOf, usageOf } from "./backend-reply.ts";

/** The body of `POST /api/embed`. Throws `unsupported` for token ids, which Ollama does not take. */
export function encodeOllamaEmbed(request: EmbedRequest, model: string): object {
  return {
    ...request.extra,
    model,
    input: request.inputs.map(encodeInput),
    truncate: request.truncate,
    dimensions: request.dimensions,
    keep_alive: request.keepAlive,
    options: writeOptions({}, request.runner),
  };
}

function encodeInput(input: EmbedInput): string {
  if (typeof input === "string") return input;
  throw new Fault("unsupported", "invalid input type");
}

/** Reads the reply of `/api/embed`. */
export class EmbedReader implements ReplyReader {
  readonly #request: EmbedRequest;
  readonly #body = replyBuffer();

  constructor(request: EmbedRequest) {
    this.#request = request;
  }

  push(chunk: Buffer): Part[] {
    this.#body.add(chunk);
    return [];
  }

  end(): Part[] {
    const bytes = this.#body.peek();
    if (bytes.length === 0) throw incompleteReply();
    const reply = parseReplyLine(bytes);
    const vectors = reply["embeddings"];
    if (!Array.isArray(vectors)) throw incompleteReply();
    const usage = usageOf(reply) ?? { promptTokens: 0, completionTokens: 0 };
    const timings = timingsOf(reply);
    const end = { type: "end", reason: "stop", usage } as const;
    return [...embeddingParts(vectors, this.#request), timings === undefined ? end : { ...end, timings }];
  }
}
