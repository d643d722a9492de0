import type { EndReason, TokenLogprob } from "../../core/chat.ts";
import type { Delta } from "../blocks.ts";
import { unexpectedPart } from "../codec.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import { finishReasonFor, openChoices, WholeChoice } from "./choice-writers.ts";
import type { ChoicesForm, ChoiceWriter } from "./choice-writers.ts";

const FORM: ChoicesForm = {
  prefix: "cmpl",
  chunk: "text_completion",
  object: "text_completion",
  choice: ({ stream }, index) => (stream ? new ChunkChoice(index) : wholeChoice(index)),
};

/** A writer of a text completion, as a stream of chunks or as one object. Thoughts are left out. */
export function openCompletionReply(context: ReplyContext): ReplyWriter {
  return openChoices(context, FORM);
}

/** One choice of a stream. */
class ChunkChoice implements ChoiceWriter {
  readonly #index: number;
  readonly #offsets = new Offsets();

  constructor(index: number) {
    this.#index = index;
  }

  add(delta: Delta): string {
    switch (delta.type) {
      case "text-delta":
        return this.#choice(delta.text, this.#offsets.write(delta.text, delta.logprobs), null);
      case "thinking-delta":
        return "";
      case "tool-delta":
        throw unexpectedPart(delta);
    }
  }

  end(reason: EndReason): string {
    return this.#choice("", null, finishReasonFor(reason, false));
  }

  #choice(text: string, logprobs: object | null, finish: string | null): string {
    return JSON.stringify({ text, index: this.#index, logprobs, finish_reason: finish });
  }
}

/** One choice of a whole reply, without thoughts. */
function wholeChoice(index: number): WholeChoice {
  return new WholeChoice({
    tool(delta) {
      throw unexpectedPart(delta);
    },
    object: ({ text, logprobs }, reason) => ({
      text,
      index,
      logprobs: new Offsets().write(text, logprobs.length === 0 ? undefined : logprobs),
      finish_reason: finishReasonFor(reason, false),
    }),
  });
}

/** Writes log probabilities in this endpoint's format: parallel lists, with each token's offset in the text. */
class Offsets {
  /** UTF-16 units of earlier text. */
  #at = 0;

  /** Null without tokens. */
  write(text: string, tokens: readonly TokenLogprob[] | undefined): object | null {
    let offset = this.#at;
    this.#at += text.length;
    if (tokens === undefined) return null;
    const offsets = tokens.map(({ token }) => (offset += token.length) - token.length);
    return {
      tokens: tokens.map(({ token }) => token),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.map(({ top }) =>
        top === undefined ? null : Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
      ),
      text_offset: offsets,
    };
  }
}
