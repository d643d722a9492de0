import type { EndReason, TokenLogprob } from "../../core/chat.ts";
import { append } from "../../core/long-lists.ts";
import type { Delta } from "../blocks.ts";
import { misplaced } from "../misplaced.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";
import { type ChoicesForm, type ChoiceWriter, finishOf, openChoices } from "./choices-reply.ts";

const FORM: ChoicesForm = {
  prefix: "cmpl",
  chunk: "text_completion",
  whole: "text_completion",
  choice: ({ stream }, index) => (stream ? new ChunkChoice(index) : new WholeChoice(index)),
};

/** A writer of a text completion, as a stream of chunks or as one object. Thinking is not part of its text. */
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
        throw misplaced(delta);
    }
  }

  end(reason: EndReason): string {
    return this.#choice("", null, finishOf(reason, false));
  }

  #choice(text: string, logprobs: object | null, finish: string | null): string {
    return JSON.stringify({ text, index: this.#index, logprobs, finish_reason: finish });
  }
}

/** One choice of a whole reply. */
class WholeChoice implements ChoiceWriter {
  readonly #index: number;
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";

  constructor(index: number) {
    this.#index = index;
  }

  add(delta: Delta): "" {
    switch (delta.type) {
      case "text-delta":
        this.#text += delta.text;
        append(this.#logprobs, delta.logprobs ?? []);
        return "";
      case "thinking-delta":
        return "";
      case "tool-delta":
        throw misplaced(delta);
    }
  }

  end(reason: EndReason): string {
    const tokens = this.#logprobs.length === 0 ? undefined : this.#logprobs;
    return JSON.stringify({
      text: this.#text,
      index: this.#index,
      logprobs: new Offsets().write(this.#text, tokens),
      finish_reason: finishOf(reason, false),
    });
  }
}

/** Writes log probabilities as this endpoint has them: parallel lists, with each token's place in the text. */
class Offsets {
  /** UTF-16 units of text before. */
  #at = 0;

  /** Null when there are none. */
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
