import type { EmbedInput, EmbedRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { ReplyReader } from "../protocol.ts";
import { embeddingParts } from "../vectors.ts";
import { gatherWhole } from "../whole.ts";
import { writeOptions } from "./options.ts";
import { incomplete, parseReply, timingsOf, usageOf } from "./reply.ts";

/** The body of `POST /api/embed`. Throws `unsupported` for token ids, which Ollama does not take. */
export function encodeEmbed(request: EmbedRequest, model: string): object {
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
  readonly #body = gatherWhole();

  constructor(request: EmbedRequest) {
    this.#request = request;
  }

  push(chunk: Buffer): Part[] {
    this.#body.add(chunk);
    return [];
  }

  end(): Part[] {
    const bytes = this.#body.peek();
    if (bytes.length === 0) throw incomplete();
    const reply = parseReply(bytes);
    const vectors = reply["embeddings"];
    if (!Array.isArray(vectors)) throw incomplete();
    const usage = usageOf(reply) ?? { promptTokens: 0, completionTokens: 0 };
    const timings = timingsOf(reply);
    const end = { type: "end", reason: "stop", usage } as const;
    return [...embeddingParts(vectors, this.#request), timings === undefined ? end : { ...end, timings }];
  }
}
