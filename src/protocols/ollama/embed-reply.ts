import type { End, Part } from "../../core/chat.ts";
import { unexpectedPart } from "../codec.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import { countOrOmit, NS_PER_MS } from "./object-layout.ts";

/** Writes the object of an endpoint from its vectors. */
type WriteObject = (vectors: readonly (readonly number[])[], end: End, context: ReplyContext) => object;

/** Gathers the vectors of a reply and writes one object at its end. */
class VectorWriter implements ReplyWriter {
  readonly contentType: string = "application/json; charset=utf-8";
  readonly #context: ReplyContext;
  readonly #object: WriteObject;
  readonly #vectors: (readonly number[])[] = [];

  constructor(context: ReplyContext, object: WriteObject) {
    this.#context = context;
    this.#object = object;
  }

  write(part: Part): string {
    switch (part.type) {
      case "embedding":
        this.#vectors.push(part.vector);
        return "";
      case "end":
        return JSON.stringify(this.#object(this.#vectors, part, this.#context));
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        throw unexpectedPart(part);
    }
  }
}

/** A writer of the reply of `/api/embed`. A load has no token counts and durations. */
export function openEmbed(opened: ReplyContext): ReplyWriter {
  return new VectorWriter(opened, (embeddings, { reason, usage, timings }, context) => {
    const { model, startedAt } = context;
    if (reason === "load" || reason === "unload") return { model, embeddings };
    return {
      model,
      embeddings,
      total_duration: countOrOmit(timings?.total ?? Math.max(0, context.now() - startedAt) * NS_PER_MS),
      load_duration: countOrOmit(timings?.load),
      prompt_eval_count: countOrOmit(usage?.promptTokens),
    };
  });
}

/** A writer of the reply of the older `/api/embeddings`: only the vector. */
export function openEmbeddings(context: ReplyContext): ReplyWriter {
  return new VectorWriter(context, ([embedding = []]) => ({ embedding }));
}
