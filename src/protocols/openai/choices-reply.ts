import type { End, EndReason, Part } from "../../core/chat.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import { type Usage, UsageTally } from "../../core/usage.ts";
import { sseData } from "../../wire/sse.ts";
import type { Delta } from "../blocks.ts";
import { misplaced } from "../misplaced.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";

/** Writes one choice of a reply, as JSON; what goes around it is not its matter. */
export interface ChoiceWriter {
  /** The choice as the chunk with this delta has it; "" when nothing is to be told now. */
  add(delta: Delta): string;
  /** The choice as the last chunk about it has it, or as the whole reply has it. */
  end(reason: EndReason): string;
}

/** An endpoint whose reply is a list of choices. */
export interface ChoicesForm {
  /** Of the reply's id. */
  readonly prefix: string;
  /** The value of `object`. */
  readonly chunk: string;
  readonly whole: string;
  /** A writer of one choice, for chunks or for a whole reply as the context says. */
  choice(context: ReplyContext, index: number): ChoiceWriter;
}

/** A writer of a reply with as many choices as its context says, as a stream of chunks or as one object. */
export function openChoices(context: ReplyContext, form: ChoicesForm): ReplyWriter {
  return context.stream ? new ChunksWriter(context, form) : new WholeWriter(context, form);
}

/** True when the body asks for a last chunk with the token counts of a stream. */
export function wantsUsage(body: JsonObject): boolean {
  const options = body["stream_options"];
  return isObject(options) && options["include_usage"] === true;
}

const FINGERPRINT = "fp_sgnet";

/** Everything in a reply object before `choices`; the JSON is left open. */
function opening(context: ReplyContext, object: string, prefix: string): string {
  const fields = {
    id: `${prefix}-${context.id}`,
    object,
    created: Math.floor(context.now() / 1000),
    model: context.model,
    system_fingerprint: FINGERPRINT,
  };
  return JSON.stringify(fields).slice(0, -1);
}

/** The choices of a reply: it is complete when each of them has ended. */
class Choices {
  readonly #writers: readonly ChoiceWriter[];
  readonly #tally: UsageTally;
  #open: number;

  constructor(context: ReplyContext, form: ChoicesForm) {
    this.#open = context.choices ?? 1;
    this.#tally = new UsageTally(context.perPrompt);
    this.#writers = Array.from({ length: this.#open }, (_, index) => form.choice(context, index));
  }

  get complete(): boolean {
    return this.#open === 0;
  }

  /** Of the choices that have ended, together. */
  get usage(): Usage | undefined {
    return this.#tally.total;
  }

  add(delta: Delta, index: number): string {
    return this.#writer(index).add(delta);
  }

  end(end: End, index: number): string {
    this.#open -= 1;
    this.#tally.add(end.usage, index);
    return this.#writer(index).end(end.reason);
  }

  #writer(index: number): ChoiceWriter {
    const writer = this.#writers[index];
    if (writer === undefined) throw new TypeError(`the reply has no choice ${index}`);
    return writer;
  }
}

/** Writes a chunk per delta, one per end of a choice, perhaps one with the token counts, and `[DONE]`. */
class ChunksWriter implements ReplyWriter {
  readonly contentType = "text/event-stream";
  readonly #context: ReplyContext;
  readonly #form: ChoicesForm;
  readonly #choices: Choices;
  readonly #withUsage: boolean;
  readonly #close: string;
  #head: string | undefined;

  constructor(context: ReplyContext, form: ChoicesForm) {
    this.#context = context;
    this.#form = form;
    this.#choices = new Choices(context, form);
    this.#withUsage = wantsUsage(context.body);
    this.#close = this.#withUsage ? `],"usage":null}\n\n` : "]}\n\n";
  }

  write(part: Part, index = 0): string {
    switch (part.type) {
      case "embedding":
        throw misplaced(part);
      case "end":
        return this.#chunk(this.#choices.end(part, index)) + this.#rest();
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        return this.#chunk(this.#choices.add(part, index));
    }
  }

  #chunk(choice: string): string {
    return choice === "" ? "" : `${this.#open()}${choice}${this.#close}`;
  }

  /** What follows the last chunk of the last choice. */
  #rest(): string {
    if (!this.#choices.complete) return "";
    const usage = this.#withUsage
      ? `${this.#open()}],"usage":${JSON.stringify(wireUsage(this.#choices.usage))}}\n\n`
      : "";
    return usage + sseData("[DONE]");
  }

  /** One time stamp for all chunks: that of the first. */
  #open(): string {
    this.#head ??= `data: ${opening(this.#context, this.#form.chunk, this.#form.prefix)},"choices":[`;
    return this.#head;
  }
}

/** Gathers the parts and writes one object when all choices have ended. */
class WholeWriter implements ReplyWriter {
  readonly contentType = "application/json";
  readonly #context: ReplyContext;
  readonly #form: ChoicesForm;
  readonly #choices: Choices;
  readonly #told: string[] = [];

  constructor(context: ReplyContext, form: ChoicesForm) {
    this.#context = context;
    this.#form = form;
    this.#choices = new Choices(context, form);
  }

  write(part: Part, index = 0): string {
    switch (part.type) {
      case "embedding":
        throw misplaced(part);
      case "end":
        this.#told[index] = this.#choices.end(part, index);
        return this.#choices.complete ? this.#whole() : "";
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        return this.#choices.add(part, index);
    }
  }

  #whole(): string {
    const open = opening(this.#context, this.#form.whole, this.#form.prefix);
    const usage = JSON.stringify(wireUsage(this.#choices.usage));
    return `${open},"choices":[${this.#told.join(",")}],"usage":${usage}}`;
  }
}

/** Counts a backend did not tell are zero: clients require the keys. */
function wireUsage(usage: Usage | undefined): object {
  const prompt = usage?.promptTokens ?? 0;
  const completion = usage?.completionTokens ?? 0;
  const cached = usage?.cachedTokens;
  const reasoning = usage?.reasoningTokens;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(cached === undefined ? {} : { prompt_tokens_details: { cached_tokens: cached } }),
    ...(reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
  };
}

/** A choice with tool calls that ended by itself ends in `tool_calls`, whatever the backend called it. */
export function finishOf(reason: EndReason, called: boolean): string {
  switch (reason) {
    case "length":
      return "length";
    case "content-filter":
      return "content_filter";
    case "tool-calls":
      return "tool_calls";
    case "stop":
    case "load":
    case "unload":
      return called ? "tool_calls" : "stop";
  }
}
