import type { EndReason, Part, TokenLogprob } from "../../core/chat.ts";
import { append } from "../../core/long-lists.ts";
import type { Delta } from "../blocks.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";
import { type ChoicesForm, type ChoiceWriter, finishOf, openChoices } from "./choices-reply.ts";

type ToolDelta = Extract<Part, { type: "tool-delta" }>;

const FORM: ChoicesForm = {
  prefix: "chatcmpl",
  chunk: "chat.completion.chunk",
  whole: "chat.completion",
  choice: (context, index) =>
    context.stream ? new ChunkChoice(context, index) : new WholeChoice(context, index),
};

/** A writer of a chat completion, as a stream of chunks or as one object. */
export function openReply(context: ReplyContext): ReplyWriter {
  return openChoices(context, FORM);
}

/** One choice of `chat.completion.chunk` events. Only the text of a token is turned to JSON, the rest is constant. */
class ChunkChoice implements ChoiceWriter {
  readonly #context: ReplyContext;
  readonly #index: number;
  readonly #open: string;
  readonly #calls = new Set<number>();
  #role = `"role":"assistant",`;

  constructor(context: ReplyContext, index: number) {
    this.#context = context;
    this.#index = index;
    this.#open = `{"index":${index},"delta":{`;
  }

  add(delta: Delta): string {
    switch (delta.type) {
      case "text-delta":
        return this.#text(delta.text, delta.logprobs);
      case "thinking-delta":
        return this.#thinking(delta.text);
      case "tool-delta":
        return this.#tool(delta);
    }
  }

  end(reason: EndReason): string {
    const delta = this.#role === "" ? "" : `"content":""`;
    return this.#choice(delta, JSON.stringify(finishOf(reason, this.#calls.size > 0)));
  }

  #text(text: string, logprobs: readonly TokenLogprob[] | undefined): string {
    if (logprobs === undefined) return text === "" ? "" : this.#choice(`"content":${JSON.stringify(text)}`);
    const tokens = JSON.stringify({ content: logprobs.map(wireLogprob), refusal: null });
    return this.#choice(`"content":${JSON.stringify(text)}`, `null,"logprobs":${tokens}`);
  }

  /** Under both names in use: Ollama and vLLM say `reasoning`, llama.cpp and DeepSeek `reasoning_content`. */
  #thinking(text: string): string {
    if (text === "") return "";
    const json = JSON.stringify(text);
    return this.#choice(`"content":"","reasoning":${json},"reasoning_content":${json}`);
  }

  #tool(delta: ToolDelta): string {
    const first = !this.#calls.has(delta.index);
    this.#calls.add(delta.index);
    const call = first
      ? wireCall(delta, this.#context, this.#index)
      : { index: delta.index, function: { arguments: delta.arguments } };
    const content = this.#role === "" ? "" : `"content":"",`;
    return this.#choice(`${content}"tool_calls":[${JSON.stringify(call)}]`);
  }

  /** The first one also carries the role. */
  #choice(delta: string, finish = "null"): string {
    const role = this.#role;
    this.#role = "";
    return `${this.#open}${role}${delta}},"finish_reason":${finish}}`;
  }
}

/** One choice of a `chat.completion` object. */
class WholeChoice implements ChoiceWriter {
  readonly #context: ReplyContext;
  readonly #index: number;
  readonly #calls = new Map<number, WireCall>();
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";
  #thinking = "";

  constructor(context: ReplyContext, index: number) {
    this.#context = context;
    this.#index = index;
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
        this.#tool(delta);
        return "";
    }
  }

  end(reason: EndReason): string {
    return JSON.stringify({
      index: this.#index,
      message: this.#message(),
      logprobs:
        this.#logprobs.length === 0 ? null : { content: this.#logprobs.map(wireLogprob), refusal: null },
      finish_reason: finishOf(reason, this.#calls.size > 0),
    });
  }

  #tool(delta: ToolDelta): void {
    const call = this.#calls.get(delta.index);
    if (call !== undefined) call.function.arguments += delta.arguments;
    else this.#calls.set(delta.index, wireCall(delta, this.#context, this.#index));
  }

  #message(): object {
    const message = { role: "assistant", content: this.#text, refusal: null };
    const thinking =
      this.#thinking === "" ? {} : { reasoning: this.#thinking, reasoning_content: this.#thinking };
    const calls = this.#calls.size === 0 ? {} : { tool_calls: [...this.#calls.values()] };
    return { ...message, ...thinking, ...calls };
  }
}

interface WireCall {
  readonly index: number;
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; arguments: string };
}

/** A call whose backend gave it no id gets one from the task, its choice and its index. */
function wireCall(delta: ToolDelta, context: ReplyContext, choice: number): WireCall {
  const place = choice === 0 ? `${delta.index}` : `${choice}_${delta.index}`;
  return {
    index: delta.index,
    id: delta.id ?? `call_${context.id}_${place}`,
    type: "function",
    function: { name: delta.name ?? "", arguments: delta.arguments },
  };
}

function wireLogprob({ token, logprob, bytes, top }: TokenLogprob): object {
  return { token, logprob, bytes: bytes ?? null, top_logprobs: (top ?? []).map(wireAlternative) };
}

function wireAlternative({ token, logprob, bytes }: TokenLogprob): object {
  return { token, logprob, bytes: bytes ?? null };
}
