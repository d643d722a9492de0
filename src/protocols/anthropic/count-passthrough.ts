import { Fault } from "../../core/fault.ts";
import { isObject, type JsonObject } from "../../core/json.ts";
import { parseKeepingArguments } from "../exact.ts";
import type { Passthrough, PassthroughOptions, Relay } from "../protocol.ts";
import { countBody } from "./count-reply.ts";

export const COUNT_TOKENS_PATH = "/v1/messages/count_tokens";

/** Lets a backend that has this endpoint count: it alone has the model's tokenizer and template. */
export const countPassthrough: Passthrough = {
  request: ({ body, model }: PassthroughOptions) => ({
    path: COUNT_TOKENS_PATH,
    body: JSON.stringify({ ...objectIn(body), model }),
  }),
  relay: () => new CountRelay(),
};

class CountRelay implements Relay {
  /** Counting is no use of the model. */
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

/** The object in a body; one without fields when there is none. */
function objectIn(bytes: Buffer): JsonObject {
  try {
    const value: unknown = parseKeepingArguments(bytes.toString());
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
