import type { EndReason } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { isCutCall } from "../arguments.ts";
import type { Block } from "../blocks.ts";
import type { ReplyContext } from "../protocol.ts";
import { readTools } from "./responses-request.ts";

/** The states of a response that this server tells. */
export type ResponseStatus = "in_progress" | "completed" | "incomplete";

/** What is known of a response when it is written. */
export interface ResponseState {
  readonly status: ResponseStatus;
  /** Seconds since 1970. */
  readonly createdAt: number;
  readonly completedAt: number | null;
  /** Why it is incomplete, else undefined. */
  readonly reason: string | undefined;
  readonly output: readonly object[];
  readonly usage: object | null;
}

/** The response object, with every key that Ollama writes. The client's settings are echoed. */
export function responseObject(context: ReplyContext, state: ResponseState): object {
  const { body } = context;
  return {
    id: `resp_${context.id}`,
    object: "response",
    created_at: state.createdAt,
    completed_at: state.completedAt,
    status: state.status,
    incomplete_details: state.reason === undefined ? null : { reason: state.reason },
    model: context.model,
    previous_response_id: null,
    instructions: body["instructions"] ?? null,
    output: state.output,
    error: null,
    tools: toolsEcho(body),
    tool_choice: body["tool_choice"] ?? "auto",
    truncation: "disabled",
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    text: textEcho(body["text"]),
    top_p: body["top_p"] ?? 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    top_logprobs: 0,
    temperature: body["temperature"] ?? 1,
    reasoning: reasoningEcho(body["reasoning"]),
    usage: state.usage,
    max_output_tokens: body["max_output_tokens"] ?? null,
    max_tool_calls: body["max_tool_calls"] ?? null,
    store: false,
    background: false,
    service_tier: "default",
    metadata: body["metadata"] ?? {},
    safety_identifier: body["safety_identifier"] ?? null,
    prompt_cache_key: body["prompt_cache_key"] ?? null,
  };
}

/** The tools in force, which leaves out those that nobody here can run. */
function toolsEcho(body: JsonObject): object[] {
  return (readTools(body) ?? []).map(({ name, description, parameters, strict }) => ({
    type: "function",
    name,
    description: description ?? null,
    strict: strict ?? null,
    parameters: parameters ?? null,
  }));
}

function textEcho(text: Json | undefined): object {
  const format = isObject(text) ? text["format"] : undefined;
  return { format: format ?? { type: "text" } };
}

function reasoningEcho(reasoning: Json | undefined): object | null {
  if (!isObject(reasoning)) return null;
  return { effort: reasoning["effort"] ?? null, summary: reasoning["summary"] ?? null };
}

/** Counts a backend did not tell are zero: clients require the keys. */
export function responseUsage(usage: Usage | undefined): object {
  const input = usage?.promptTokens ?? 0;
  const output = usage?.completionTokens ?? 0;
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: input + output,
    input_tokens_details: { cached_tokens: usage?.cachedTokens ?? 0 },
    output_tokens_details: { reasoning_tokens: usage?.reasoningTokens ?? 0 },
  };
}

/** Why a response is incomplete; undefined when it is complete. */
export function incompleteReason(reason: EndReason): string | undefined {
  switch (reason) {
    case "length":
      return "max_output_tokens";
    case "content-filter":
      return "content_filter";
    case "stop":
    case "tool-calls":
    case "load":
    case "unload":
      return undefined;
  }
}

const ID_PREFIXES = { text: "msg", thinking: "rs", tool: "fc" } as const;

/** The id of an output item: unique in its response and told apart by its kind. */
export function itemId({ type, index }: Block, { id }: ReplyContext): string {
  return `${ID_PREFIXES[type]}_${id}_${index}`;
}

/** A block as an output item as far as it has come. */
export function outputItem(block: Block, context: ReplyContext, status: ResponseStatus): object {
  const id = itemId(block, context);
  const begun = status === "in_progress";
  const { text } = block;
  switch (block.type) {
    case "text":
      return { id, type: "message", status, role: "assistant", content: begun ? [] : [textPart(text)] };
    case "thinking":
      if (begun) return { id, type: "reasoning", summary: [] };
      return { id, type: "reasoning", summary: [summaryPart(text)], encrypted_content: text };
    case "tool":
      return {
        id,
        type: "function_call",
        status,
        // A call whose backend gave it no id gets one from the task and its place.
        call_id: block.id ?? `call_${context.id}_${block.index}`,
        name: block.name,
        arguments: begun ? "" : callArguments(text, status),
      };
  }
}

/** A call without arguments has an empty object; one that was cut before they began has none. */
export function callArguments(text: string, status: ResponseStatus): string {
  return text.trim() || (status === "incomplete" ? "" : "{}");
}

/** How an item of a finished response is told: its last one may be incomplete, and every call that was cut. */
export function itemStatus(block: Block, isLast: boolean, reason: EndReason): ResponseStatus {
  if (incompleteReason(reason) === undefined) return "completed";
  return isLast || (block.type === "tool" && isCutCall(block.text, reason)) ? "incomplete" : "completed";
}

/** The part of a message. */
export function textPart(text: string): object {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

/** The part of a reasoning item. */
export function summaryPart(text: string): object {
  return { type: "summary_text", text };
}
