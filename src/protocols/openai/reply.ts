import type { EndReason, Part, TokenLogprob } from "../../core/chat.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { sseData } from "../../wire/sse.ts";
import { misplaced } from "../misplaced.ts";
import type { ReplyContext, ReplyWriter } from "../protocol.ts";

export type End = Extract<Part, { type: "end" }>;
type ToolDelta = Extract<Part, { type: "tool-delta" }>;

const FINGERPRINT = "fp_sgnet";

/** A writer of a chat completion, as a stream of chunks or as one object. */
export function openReply(context: ReplyContext): ReplyWriter {
  return context.stream ? new ChunkWriter(context) : new CompletionWriter(context);
}

/** True when the body asks for a last chunk with the token counts of a stream. */
export function wantsUsage(body: JsonObject): boolean {
  const options = body["stream_options"];
  return isObject(options) && options["include_usage"] === true;
}

/** The objects of the endpoints that write text, with the prefix of their ids. */
const ID_PREFIXES = {
  "chat.completion": "chatcmpl",
  "chat.completion.chunk": "chatcmpl",
  text_completion: "cmpl",
} as const;

/** Everything in a reply object before `choices`; the JSON is left open. */
export function opening(context: ReplyContext, object: keyof typeof ID_PREFIXES): string {
  const created = Math.floor(context.now() / 1000);
  const fields = {
    id: `${ID_PREFIXES[object]}-${context.id}`,
    object,
    created,
    model: context.model,
    system_fingerprint: FINGERPRINT,
  };
  return JSON.stringify(fields).slice(0, -1);
}

/** Writes `chat.completion.chunk` events. Only the text of a token is turned to JSON, the rest is constant. */
class ChunkWriter implements ReplyWriter {
  readonly contentType = "text/event-stream";
  readonly #context: ReplyContext;
  readonly #withUsage: boolean;
  readonly #close: string;
  readonly #calls = new Set<number>();
  #head: string | undefined;
  #role = `"role":"assistant",`;

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#withUsage = wantsUsage(context.body);
    this.#close = this.#withUsage ? `}],"usage":null}\n\n` : "}]}\n\n";
  }

  write(part: Part): string {
    switch (part.type) {
      case "text-delta":
        return this.#text(part.text, part.logprobs);
      case "thinking-delta":
        return this.#thinking(part.text);
      case "tool-delta":
        return this.#tool(part);
      case "embedding":
        throw misplaced(part);
      case "end":
        return this.#end(part);
    }
  }

  #text(text: string, logprobs: readonly TokenLogprob[] | undefined): string {
    if (logprobs === undefined) return text === "" ? "" : this.#chunk(`"content":${JSON.stringify(text)}`);
    const tokens = JSON.stringify({ content: logprobs.map(wireLogprob), refusal: null });
    return this.#chunk(`"content":${JSON.stringify(text)}`, `null,"logprobs":${tokens}`);
  }

  /** Under both names in use: Ollama and vLLM say `reasoning`, llama.cpp and DeepSeek `reasoning_content`. */
  #thinking(text: string): string {
    if (text === "") return "";
    const json = JSON.stringify(text);
    return this.#chunk(`"content":"","reasoning":${json},"reasoning_content":${json}`);
  }

  #tool(delta: ToolDelta): string {
    const first = !this.#calls.has(delta.index);
    this.#calls.add(delta.index);
    const call = first
      ? wireCall(this.#context, delta)
      : { index: delta.index, function: { arguments: delta.arguments } };
    const content = this.#role === "" ? "" : `"content":"",`;
    return this.#chunk(`${content}"tool_calls":[${JSON.stringify(call)}]`);
  }

  #end(end: End): string {
    const delta = this.#role === "" ? "" : `"content":""`;
    const finish = this.#chunk(delta, JSON.stringify(finishOf(end.reason, this.#calls.size > 0)));
    const usage = this.#withUsage
      ? `${this.#open()},"choices":[],"usage":${JSON.stringify(wireUsage(end.usage))}}\n\n`
      : "";
    return finish + usage + sseData("[DONE]");
  }

  /** The first chunk also carries the role. */
  #chunk(delta: string, finish = "null"): string {
    const role = this.#role;
    this.#role = "";
    return `${this.#open()},"choices":[{"index":0,"delta":{${role}${delta}},"finish_reason":${finish}${this.#close}`;
  }

  /** One time stamp for all chunks: that of the first. */
  #open(): string {
    this.#head ??= `data: ${opening(this.#context, "chat.completion.chunk")}`;
    return this.#head;
  }
}

/** Gathers the parts and writes one `chat.completion` object at the end. */
class CompletionWriter implements ReplyWriter {
  readonly contentType = "application/json";
  readonly #context: ReplyContext;
  readonly #calls = new Map<number, WireCall>();
  readonly #logprobs: TokenLogprob[] = [];
  #text = "";
  #thinking = "";

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
        this.#thinking += part.text;
        return "";
      case "tool-delta":
        this.#tool(part);
        return "";
      case "embedding":
        throw misplaced(part);
      case "end":
        return this.#end(part);
    }
  }

  #tool(delta: ToolDelta): void {
    const call = this.#calls.get(delta.index);
    if (call !== undefined) call.function.arguments += delta.arguments;
    else this.#calls.set(delta.index, wireCall(this.#context, delta));
  }

  #end(end: End): string {
    const choice = {
      index: 0,
      message: this.#message(),
      logprobs:
        this.#logprobs.length === 0 ? null : { content: this.#logprobs.map(wireLogprob), refusal: null },
      finish_reason: finishOf(end.reason, this.#calls.size > 0),
    };
    const open = opening(this.#context, "chat.completion");
    return `${open},"choices":[${JSON.stringify(choice)}],"usage":${JSON.stringify(wireUsage(end.usage))}}`;
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

/** A call whose backend gave it no id gets one from the task and its index. */
function wireCall(context: ReplyContext, delta: ToolDelta): WireCall {
  return {
    index: delta.index,
    id: delta.id ?? `call_${context.id}_${delta.index}`,
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

/** Counts a backend did not tell are zero: clients require the keys. */
export function wireUsage(usage: Usage | undefined): object {
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

/** A reply with tool calls that ended by itself ends in `tool_calls`, whatever the backend called it. */
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
