import type { End, EndReason } from "../../core/chat.ts";
import type { Usage } from "../../core/usage.ts";
import { sseEvent } from "../../wire/sse.ts";
import { type BlockEvents, BlockStreamWriter, BlockObjectWriter } from "../block-writers.ts";
import { argumentsObject, isTruncatedCall } from "../tool-arguments.ts";
import type { Block, BlockStep } from "../blocks.ts";
import { estimateTokens } from "../token-estimate.ts";
import type { ReplyContext, ReplyWriter } from "../codec.ts";
import { readAnthropicChat } from "./request.ts";

/** A writer of a message, as a stream of events or as one object. */
export function openMessageReply(context: ReplyContext): ReplyWriter {
  return context.stream
    ? new BlockStreamWriter(new MessageEvents(context))
    : new BlockObjectWriter((end, blocks) => message(end, blocks, context));
}

function message(end: End, blocks: readonly Block[], context: ReplyContext): object {
  return {
    ...opening(context),
    content: blocks.map((block) => completeBlock(block, end, context)),
    ...stopOf(end, blocks),
    usage: usageOf(end.usage),
  };
}

/** The events of a message. */
class MessageEvents implements BlockEvents {
  readonly #context: ReplyContext;

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  /** The first event has the prompt's length, which is estimated because no count exists yet. */
  start(): string {
    const promptTokens = estimateTokens(readAnthropicChat(this.#context.body));
    const open = { ...opening(this.#context), content: [], stop_reason: null, stop_sequence: null };
    const usage = usageOf({ promptTokens, completionTokens: 0 });
    return eventOf({ type: "message_start", message: { ...open, usage } });
  }

  steps(steps: readonly BlockStep[]): string {
    return steps.map((step) => this.#event(step)).join("");
  }

  end(end: End, blocks: readonly Block[]): string {
    const delta = stopOf(end, blocks);
    return (
      eventOf({ type: "message_delta", delta, usage: usageOf(end.usage) }) + eventOf({ type: "message_stop" })
    );
  }

  #event(step: BlockStep): string {
    const { block } = step;
    const { index } = block;
    switch (step.step) {
      case "open":
        return eventOf({
          type: "content_block_start",
          index,
          content_block: emptyBlock(block, this.#context),
        });
      case "delta":
        return eventOf({ type: "content_block_delta", index, delta: deltaOf(block, step.text) });
      case "close":
        return eventOf({ type: "content_block_stop", index });
    }
  }
}

function eventOf(event: { readonly type: string; readonly [name: string]: unknown }): string {
  return sseEvent(event.type, JSON.stringify(event));
}

/** The fields of a message before its content. */
function opening({ id, model }: ReplyContext): object {
  return { id: `msg_${id}`, type: "message", role: "assistant", model };
}

/** Thinking has no signature, because this server checks none when it is sent back. */
function emptyBlock(block: Block, context: ReplyContext): object {
  switch (block.type) {
    case "text":
      return { type: "text", text: "" };
    case "thinking":
      return { type: "thinking", thinking: "", signature: "" };
    case "tool":
      return { type: "tool_use", id: callId(block, context), name: block.name, input: {} };
  }
}

function deltaOf({ type }: Block, text: string): object {
  switch (type) {
    case "text":
      return { type: "text_delta", text };
    case "thinking":
      return { type: "thinking_delta", thinking: text };
    case "tool":
      return { type: "input_json_delta", partial_json: text };
  }
}

/** The input of a truncated call is empty, because a part of it could be run. */
function completeBlock(block: Block, end: End, context: ReplyContext): object {
  const { type, text } = block;
  const empty = emptyBlock(block, context);
  if (type !== "tool") return { ...empty, [type]: text };
  return isTruncatedCall(text, end.reason) ? empty : { ...empty, input: argumentsObject(text) };
}

/** A call without an id from its backend gets one from the task and its index. */
function callId({ id, index }: Block, context: ReplyContext): string {
  return id ?? `toolu_${context.id}_${index}`;
}

function stopOf(end: End, blocks: readonly Block[]): object {
  const called = blocks.some(({ type }) => type === "tool");
  const stopped = end.reason === "stop" && !called ? end.stopText : undefined;
  const reason = stopped === undefined ? reasonOf(end.reason, called) : "stop_sequence";
  return { stop_reason: reason, stop_sequence: stopped ?? null };
}

function reasonOf(reason: EndReason, called: boolean): string {
  switch (reason) {
    case "length":
      return "max_tokens";
    case "content-filter":
      return "refusal";
    case "tool-calls":
      return "tool_use";
    case "stop":
    case "load":
    case "unload":
      return called ? "tool_use" : "end_turn";
  }
}

/** Anthropic counts cached tokens separately. Unknown counts are zero. */
function usageOf(usage: Usage | undefined): object {
  const cached = usage?.cachedTokens ?? 0;
  return {
    input_tokens: Math.max(0, (usage?.promptTokens ?? 0) - cached),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: usage?.completionTokens ?? 0,
  };
}
