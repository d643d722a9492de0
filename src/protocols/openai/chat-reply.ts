import type { EndReason, TokenLogprob, ToolDelta } from "../../core/chat.ts";
import type { Delta } from "../blocks.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import { finishReasonFor, openChoices, WholeChoice } from "./choice-writers.ts";
import type { ChoiceContent, ChoicesForm, ChoiceWriter } from "./choice-writers.ts";

const FORM: ChoicesForm = {
  prefix: "chatcmpl",
  chunk: "chat.completion.chunk",
  object: "chat.completion",
  choice: (context, index) =>
    context.stream ? new ChunkChoice(context, index) : wholeChoice(context, index),
};

/** A writer of a chat completion, as a stream of chunks or as one object. */
export function openChatReply(context: ReplyContext): ReplyWriter {
  return openChoices(context, FORM);
}

/** One choice of `chat.completion.chunk` events. Only a token's text is converted to JSON; the rest is constant. */
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
    return this.#choice(delta, JSON.stringify(finishReasonFor(reason, this.#calls.size > 0)));
  }

  #text(text: string, logprobs: readonly TokenLogprob[] | undefined): string {
    if (logprobs === undefined) return text === "" ? "" : this.#choice(`"content":${JSON.stringify(text)}`);
    const tokens = JSON.stringify({ content: logprobs.map(wireLogprob), refusal: null });
    return this.#choice(`"content":${JSON.stringify(text)}`, `null,"logprobs":${tokens}`);
  }

  /**
   * Writes thoughts under both names in use: `reasoning` (Ollama, vLLM) and `reasoning_content` (llama.cpp,
   * DeepSeek).
   */
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

  /** The first chunk of a choice also carries the role. */
  #choice(delta: string, finish = "null"): string {
    const role = this.#role;
    this.#role = "";
    return `${this.#open}${role}${delta}},"finish_reason":${finish}}`;
  }
}

/** One choice of a `chat.completion` object. */
function wholeChoice(context: ReplyContext, index: number): WholeChoice {
  const calls = new Map<number, WireCall>();
  return new WholeChoice({
    tool(delta) {
      const call = calls.get(delta.index);
      if (call !== undefined) call.function.arguments += delta.arguments;
      else calls.set(delta.index, wireCall(delta, context, index));
    },
    object: (content, reason) => ({
      index,
      message: messageOf(content, [...calls.values()]),
      logprobs:
        content.logprobs.length === 0 ? null : { content: content.logprobs.map(wireLogprob), refusal: null },
      finish_reason: finishReasonFor(reason, calls.size > 0),
    }),
  });
}

function messageOf({ text, thinking }: ChoiceContent, calls: readonly WireCall[]): object {
  return {
    role: "assistant",
    content: text,
    refusal: null,
    ...(thinking === "" ? {} : { reasoning: thinking, reasoning_content: thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

interface WireCall {
  readonly index: number;
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; arguments: string };
}

/** A call without an id from its backend gets one from the task, its choice and its index. */
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
