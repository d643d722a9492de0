import type { End, EndReason, Part, TokenLogprob, ToolDelta } from "../../core/chat.ts";
import { isObject } from "../../core/json.ts";
import { append } from "../../core/long-lists.ts";
import type { JsonObject } from "../../core/json.ts";
import { type Usage, UsageTally } from "../../core/usage.ts";
import { sseData } from "../../wire/sse.ts";
import type { Delta } from "../blocks.ts";
import { unexpectedPart } from "../codec.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";

/** Writes one choice of a reply as JSON. */
export interface ChoiceWriter {
  /** Returns the choice for the chunk with this delta; "" for no chunk. */
  add(delta: Delta): string;
  /** Returns the choice for its last chunk, or for the whole reply. */
  end(reason: EndReason): string;
}

/** An endpoint whose reply is a list of choices. */
export interface ChoicesForm {
  /** Prefix of the reply's id. */
  readonly prefix: string;
  /** The value of `object`. */
  readonly chunk: string;
  readonly object: string;
  /** A writer of one choice, for chunks or for a whole reply. */
  choice(context: ReplyContext, index: number): ChoiceWriter;
}

/** The content of a choice that was gathered until its end. */
export interface ChoiceContent {
  readonly text: string;
  readonly thinking: string;
  readonly logprobs: readonly TokenLogprob[];
}

/** Builds the choices of one endpoint's whole replies. */
interface WholeChoiceForm {
  /** Takes a fragment of a tool call. Throws `backend_lost` where the endpoint has no tools. */
  tool(delta: ToolDelta): void;
  object(content: ChoiceContent, reason: EndReason): object;
}

/** Gathers one choice of a whole reply and writes it at its end. */
export class WholeChoice implements ChoiceWriter {
  readonly #form: WholeChoiceForm;
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";
  #thinking = "";

  constructor(form: WholeChoiceForm) {
    this.#form = form;
  }

  add(delta: Delta): "" {
    switch (delta.type) {
      case "text-delta":
        this.#text += delta.text;
        append(this.#logprobs, delta.logprobs ?? []);
        return "";
      case "thinking-delta":
        this.#thinking += delta.text;
        return "";
      case "tool-delta":
        this.#form.tool(delta);
        return "";
    }
  }

  end(reason: EndReason): string {
    const content = { text: this.#text, thinking: this.#thinking, logprobs: this.#logprobs };
    return JSON.stringify(this.#form.object(content, reason));
  }
}

/** A writer of a reply with all choices of its context: a stream of chunks, or one object. */
export function openChoices(context: ReplyContext, form: ChoicesForm): ReplyWriter {
  return context.stream ? new ChunkStreamWriter(context, form) : new ChoicesObjectWriter(context, form);
}

/** True when the body asks for a last chunk with token counts. */
export function wantsUsage(body: JsonObject): boolean {
  const options = body["stream_options"];
  return isObject(options) && options["include_usage"] === true;
}

const FINGERPRINT = "fp_sgnet";

/** The JSON of a reply before `choices`, left open. */
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

/** The choices of a reply, which is complete when all have ended. */
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

  /** The usage of all ended choices. */
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

/** Writes a chunk per delta, one per end of a choice, one with token counts if wanted, and `[DONE]`. */
class ChunkStreamWriter implements ReplyWriter {
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
        throw unexpectedPart(part);
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

  /** The text behind the last chunk of the last choice. */
  #rest(): string {
    if (!this.#choices.complete) return "";
    const usage = this.#withUsage
      ? `${this.#open()}],"usage":${JSON.stringify(wireUsage(this.#choices.usage))}}\n\n`
      : "";
    return usage + sseData("[DONE]");
  }

  /** All chunks have the time stamp of the first. */
  #open(): string {
    this.#head ??= `data: ${opening(this.#context, this.#form.chunk, this.#form.prefix)},"choices":[`;
    return this.#head;
  }
}

/** Gathers the parts and writes one object when all choices have ended. */
class ChoicesObjectWriter implements ReplyWriter {
  readonly contentType = "application/json";
  readonly #context: ReplyContext;
  readonly #form: ChoicesForm;
  readonly #choices: Choices;
  readonly #ended: string[] = [];

  constructor(context: ReplyContext, form: ChoicesForm) {
    this.#context = context;
    this.#form = form;
    this.#choices = new Choices(context, form);
  }

  write(part: Part, index = 0): string {
    switch (part.type) {
      case "embedding":
        throw unexpectedPart(part);
      case "end":
        this.#ended[index] = this.#choices.end(part, index);
        return this.#choices.complete ? this.#object() : "";
      case "text-delta":
      case "thinking-delta":
      case "tool-delta":
        return this.#choices.add(part, index);
    }
  }

  #object(): string {
    const open = opening(this.#context, this.#form.object, this.#form.prefix);
    const usage = JSON.stringify(wireUsage(this.#choices.usage));
    return `${open},"choices":[${this.#ended.join(",")}],"usage":${usage}}`;
  }
}

/** Unknown counts are zero, because clients require the keys. */
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

/** The finish reason. A choice with tool calls that was not truncated ends in `tool_calls`. */
export function finishReasonFor(reason: EndReason, called: boolean): string {
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
