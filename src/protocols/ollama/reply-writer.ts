import { isoTime } from "../../core/iso-time.ts";
import type { End, Part, TokenLogprob } from "../../core/chat.ts";
import { append } from "../../core/long-lists.ts";
import { unexpectedPart } from "../codec.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import { type LineContent, type Layout, NS_PER_MS } from "./object-layout.ts";
import { ToolCalls } from "./tool-calls.ts";

/** Starts every object of a reply: `{"model":…,"created_at":…`. The time is formatted once per ms. */
class Heads {
  readonly #context: ReplyContext;
  readonly #model: string;
  #at = Number.NaN;
  #head = "";

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#model = `{"model":${JSON.stringify(context.model)},"created_at":"`;
  }

  next(): string {
    const now = this.#context.now();
    if (now !== this.#at) {
      this.#at = now;
      this.#head = `${this.#model}${isoTime(now)}"`;
    }
    return this.#head;
  }

  /** Ns since the task was accepted. */
  elapsed(): number {
    return Math.max(0, this.#context.now() - this.#context.startedAt) * NS_PER_MS;
  }

  object(layout: Layout, content: LineContent): string {
    return `${this.next()},${JSON.stringify(layout.object(content)).slice(1)}`;
  }
}

/** Writes a reply as NDJSON: one object per delta, one per tool call, then the last object. */
export class LineStreamWriter implements ReplyWriter {
  readonly contentType: string = "application/x-ndjson";
  readonly #layout: Layout;
  readonly #heads: Heads;
  readonly #calls: ToolCalls;

  constructor(layout: Layout, context: ReplyContext) {
    this.#layout = layout;
    this.#heads = new Heads(context);
    this.#calls = new ToolCalls(context.id);
  }

  write(part: Part): string {
    switch (part.type) {
      case "text-delta":
        return part.logprobs === undefined
          ? this.#token(this.#layout.text, part.text)
          : this.#line({ text: part.text, logprobs: part.logprobs });
      case "thinking-delta":
        return this.#token(this.#layout.thinking, part.text);
      case "tool-delta":
        this.#calls.add(part);
        return "";
      case "embedding":
        throw unexpectedPart(part);
      case "end":
        return this.#end(part);
    }
  }

  /** Writes the most frequent line without building an object. */
  #token([before, after]: Layout["text"], text: string): string {
    return this.#heads.next() + before + JSON.stringify(text) + after;
  }

  #line(content: LineContent): string {
    return `${this.#heads.object(this.#layout, content)}\n`;
  }

  #end(end: End): string {
    const calls = this.#calls.whole(end.reason).map((call) => this.#line({ text: "", toolCalls: [call] }));
    return calls.join("") + this.#line({ text: "", end, elapsed: this.#heads.elapsed() });
  }
}

/** Writes a reply as one object, once it is complete. */
export class ObjectWriter implements ReplyWriter {
  readonly contentType: string = "application/json; charset=utf-8";
  readonly #layout: Layout;
  readonly #heads: Heads;
  readonly #calls: ToolCalls;
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";
  #thinking = "";

  constructor(layout: Layout, context: ReplyContext) {
    this.#layout = layout;
    this.#heads = new Heads(context);
    this.#calls = new ToolCalls(context.id);
  }

  write(part: Part): string {
    switch (part.type) {
      case "text-delta":
        this.#text += part.text;
        append(this.#logprobs, part.logprobs ?? []);
        return "";
      case "thinking-delta":
        this.#thinking += part.text;
        return "";
      case "tool-delta":
        this.#calls.add(part);
        return "";
      case "embedding":
        throw unexpectedPart(part);
      case "end":
        return this.#end(part);
    }
  }

  #end(end: End): string {
    const toolCalls = this.#calls.whole(end.reason);
    return this.#heads.object(this.#layout, {
      text: this.#text,
      thinking: this.#thinking,
      toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
      logprobs: this.#logprobs.length === 0 ? undefined : this.#logprobs,
      end,
      elapsed: this.#heads.elapsed(),
    });
  }
}
