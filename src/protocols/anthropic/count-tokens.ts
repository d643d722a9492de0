import { Fault } from "../../core/fault.ts";
import { isObject, type JsonObject } from "../../core/json.ts";
import { parseLosslessArguments } from "../lossless-json.ts";
import type { Passthrough, PassthroughOptions, Relay, ReplyWriter } from "../codec.ts";
import { unexpectedPart } from "../codec.ts";

export const COUNT_TOKENS_PATH = "/v1/messages/count_tokens";

/** Lets a backend with this endpoint count. It has the model's tokenizer and template. */
export const countPassthrough: Passthrough = {
  request: ({ body, model }: PassthroughOptions) => ({
    path: COUNT_TOKENS_PATH,
    body: JSON.stringify({ ...objectIn(body), model }),
  }),
  relay: () => new CountRelay(),
};

class CountRelay implements Relay {
  /** A count is no use of the model. */
  readonly usage = undefined;
  readonly #chunks: Buffer[] = [];

  push(chunk: Buffer): Buffer {
    this.#chunks.push(chunk);
    return Buffer.alloc(0);
  }

  end(): Buffer {
    const { input_tokens: tokens } = objectIn(Buffer.concat(this.#chunks));
    if (typeof tokens === "number") return Buffer.from(countBody(tokens));
    throw new Fault("not_implemented", "the backend's reply has no count of tokens");
  }
}

/** The object in a body; an empty one for any other body. */
function objectIn(bytes: Buffer): JsonObject {
  try {
    const value: unknown = parseLosslessArguments(bytes.toString());
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Writes the count, which is the prompt usage of the end part. Throws `backend_lost` for other parts. */
export function openCountReply(): ReplyWriter {
  return {
    contentType: "application/json",
    write(part) {
      if (part.type !== "end") throw unexpectedPart(part);
      return countBody(part.usage?.promptTokens ?? 0);
    },
  };
}

/** The body of a count. */
function countBody(tokens: number): string {
  return JSON.stringify({ input_tokens: tokens });
}
