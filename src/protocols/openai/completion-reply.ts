import type { Part, TokenLogprob } from "../../core/chat.ts";
import { sseData } from "../../wire/sse.ts";
import { misplaced } from "../misplaced.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";
import { type End, finishOf, opening, wantsUsage, wireUsage } from "./reply.ts";

/** A writer of a text completion, as a stream of chunks or as one object. Thinking is not part of its text. */
export function openCompletionReply(context: ReplyContext): ReplyWriter {
  return context.stream ? new TextChunkWriter(context) : new TextWriter(context);
}

/** Writes `text_completion` events. */
class TextChunkWriter implements ReplyWriter {
  readonly contentType = "text/event-stream";
  readonly #context: ReplyContext;
  readonly #withUsage: boolean;
  readonly #offsets = new Offsets();
  #head: string | undefined;

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#withUsage = wantsUsage(context.body);
  }

  write(part: Part): string {
    switch (part.type) {
      case "text-delta":
        return this.#chunk(part.text, this.#offsets.write(part.text, part.logprobs), null);
      case "thinking-delta":
        return "";
      case "tool-delta":
      case "embedding":
        throw misplaced(part);
      case "end":
        return this.#end(part);
    }
  }

  #chunk(text: string, logprobs: object | null, finish: string | null): string {
    const choice = JSON.stringify({ text, index: 0, logprobs, finish_reason: finish });
    return `${this.#open()},"choices":[${choice}]${this.#withUsage ? `,"usage":null` : ""}}\n\n`;
  }

  #end(end: End): string {
    const finish = this.#chunk("", null, finishOf(end.reason, false));
    const usage = this.#withUsage
      ? `${this.#open()},"choices":[],"usage":${JSON.stringify(wireUsage(end.usage))}}\n\n`
      : "";
    return finish + usage + sseData("[DONE]");
  }

  /** One time stamp for all chunks: that of the first. */
  #open(): string {
    this.#head ??= `data: ${opening(this.#context, "text_completion")}`;
    return this.#head;
  }
}

/** Gathers the parts and writes one `text_completion` object at the end. */
class TextWriter implements ReplyWriter {
  readonly contentType = "application/json";
  readonly #context: ReplyContext;
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  write(part: Part): string {
    switch (part.type) {
      case "text-delta":
        this.#text += part.text;
        this.#logprobs.push(...(part.logprobs ?? []));
        return "";
      case "thinking-delta":
        return "";
      case "tool-delta":
      case "embedding":
        throw misplaced(part);
      case "end":
        return this.#end(part);
    }
  }

  #end(end: End): string {
    const tokens = this.#logprobs.length === 0 ? undefined : this.#logprobs;
    const choice = {
      text: this.#text,
      index: 0,
      logprobs: new Offsets().write(this.#text, tokens),
      finish_reason: finishOf(end.reason, false),
    };
    const open = opening(this.#context, "text_completion");
    return `${open},"choices":[${JSON.stringify(choice)}],"usage":${JSON.stringify(wireUsage(end.usage))}}`;
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
