import type { EndReason } from "../../core/chat.ts";
import { isObject, type Json } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { isCutCall } from "../arguments.ts";
import type { Block } from "../blocks.ts";
import type { ReplyContext } from "../protocol.ts";
import { shownTools } from "./responses-choice.ts";
import { FUNCTION_FORM, isNamed, type ToolForm } from "./tool-forms.ts";
import type { OfferedTool, ToolTable } from "./tool-table.ts";

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

/** The request's side of a response, as its writer needs it. */
export interface Telling {
  readonly context: ReplyContext;
  readonly tools: ToolTable;
}

/** The response object, with every key that Ollama writes. The client's settings are echoed. */
export function responseObject({ context, tools }: Telling, state: ResponseState): object {
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
    tools: shownTools(body["tool_choice"], tools).map(toolEcho),
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

/** A tool as the client wrote it, a function with every key. */
function toolEcho({ form, item, name, namespace, tool }: OfferedTool): object {
  if (form !== FUNCTION_FORM || namespace !== undefined) return item;
  const { description, parameters, strict } = tool;
  return {
    type: "function",
    name,
    description: description ?? null,
    strict: strict ?? null,
    parameters: parameters ?? null,
  };
}

function textEcho(text: Json | undefined): object {
  const format = isObject(text) ? text["format"] : undefined;
  return { format: format ?? { type: "text" } };
}

function reasoningEcho(reasoning: Json | undefined): object | null {
  if (!isObject(reasoning)) return null;
  return { effort: reasoning["effort"] ?? null, summary: reasoning["summary"] ?? null };
}

/** Counts a backend did not tell are zero: clients require the keys. No backend tells what it wrote to a cache. */
export function responseUsage(usage: Usage | undefined): object {
  const input = usage?.promptTokens ?? 0;
  const output = usage?.completionTokens ?? 0;
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: input + output,
    input_tokens_details: { cached_tokens: usage?.cachedTokens ?? 0, cache_write_tokens: 0 },
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

/** The tool that a block calls; undefined for a name that the model made up, or for no call. */
export function calledTool({ type, name }: Block, { tools }: Telling): OfferedTool | undefined {
  return type === "tool" ? tools.find(name) : undefined;
}

const ID_PREFIXES = { text: "msg", thinking: "rs" } as const;

/** The id of an output item: unique in its response and told apart by its kind. */
export function itemId(block: Block, telling: Telling): string {
  const { type, index } = block;
  const prefix =
    type === "tool" ? (calledTool(block, telling)?.form ?? FUNCTION_FORM).prefix : ID_PREFIXES[type];
  return `${prefix}_${telling.context.id}_${index}`;
}

/** A block as an output item as far as it has come. */
export function outputItem(block: Block, telling: Telling, status: ResponseStatus): object {
  const id = itemId(block, telling);
  const begun = status === "in_progress";
  const { text } = block;
  switch (block.type) {
    case "text":
      return { id, type: "message", status, role: "assistant", content: begun ? [] : [textPart(text)] };
    case "thinking":
      if (begun) return { id, type: "reasoning", summary: [] };
      return { id, type: "reasoning", summary: [summaryPart(text)], encrypted_content: text };
    case "tool":
      return callItem(block, telling, status);
  }
}

/** A call as an item of the type that its tool has, under the name that the client knows. */
function callItem(block: Block, telling: Telling, status: ResponseStatus): object {
  const { context } = telling;
  const called = calledTool(block, telling);
  const form = called?.form ?? FUNCTION_FORM;
  return {
    id: itemId(block, telling),
    type: form.call,
    status,
    // A call whose backend gave it no id gets one from the task and its place.
    call_id: block.id ?? `call_${context.id}_${block.index}`,
    ...(isNamed(form) ? { name: called?.name ?? block.name } : {}),
    ...(called?.namespace === undefined ? {} : { namespace: called.namespace }),
    ...saidBy(form, block.text, status),
  };
}

/** The words of a call: texts that come piece by piece begin empty. */
function saidBy(form: ToolForm, text: string, status: ResponseStatus): object {
  const begun = status === "in_progress";
  if (form === FUNCTION_FORM) return { arguments: begun ? "" : callArguments(text, status) };
  return form.told(begun ? "" : text);
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
