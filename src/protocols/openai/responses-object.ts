import type { EndReason } from "../../core/chat.ts";
import { isObject, type Json } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { isTruncatedCall } from "../tool-arguments.ts";
import type { Block } from "../blocks.ts";
import type { ReplyContext } from "../codec.ts";
import { allowedTools } from "./responses-choice.ts";
import { FUNCTION_FORM, isNamed, type ToolForm } from "./tool-forms.ts";
import type { OfferedTool, ToolTable } from "./tool-table.ts";

/** The states of a response. */
export type ResponseStatus = "in_progress" | "completed" | "incomplete";

/** The variable parts of a response. */
interface ResponseState {
  readonly status: ResponseStatus;
  /** Seconds since 1970. */
  readonly createdAt: number;
  readonly completedAt: number | null;
  /** The reason of an incomplete response; undefined otherwise. */
  readonly reason: string | undefined;
  readonly output: readonly object[];
  readonly usage: object | null;
}

/** The request's side of a response. */
export interface ResponseContext {
  readonly context: ReplyContext;
  readonly tools: ToolTable;
}

/** The response object, with every key that Ollama writes. It echoes the client's settings. */
export function responseObject({ context, tools }: ResponseContext, state: ResponseState): object {
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
    tools: allowedTools(body["tool_choice"], tools).map(toolEcho),
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

/** A tool as the client wrote it. A function has every key. */
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

/** Unknown counts are zero, because clients require the keys. No backend reports tokens written to a cache. */
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

/** The reason of an incomplete response; undefined for a complete one. */
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

/** The tool that a block calls. Undefined for an invented name, and for another block. */
export function calledTool({ type, name }: Block, { tools }: ResponseContext): OfferedTool | undefined {
  return type === "tool" ? tools.find(name) : undefined;
}

const ID_PREFIXES = { text: "msg", thinking: "rs" } as const;

/** The id of an output item: unique in its response, with a prefix for its kind. */
export function itemId(block: Block, scope: ResponseContext): string {
  const { type, index } = block;
  const prefix =
    type === "tool" ? (calledTool(block, scope)?.form ?? FUNCTION_FORM).prefix : ID_PREFIXES[type];
  return `${prefix}_${scope.context.id}_${index}`;
}

/** A block as an output item, perhaps incomplete. */
export function outputItem(block: Block, scope: ResponseContext, status: ResponseStatus): object {
  const id = itemId(block, scope);
  const begun = status === "in_progress";
  const { text } = block;
  switch (block.type) {
    case "text":
      return { id, type: "message", status, role: "assistant", content: begun ? [] : [textPart(text)] };
    case "thinking":
      if (begun) return { id, type: "reasoning", summary: [] };
      return { id, type: "reasoning", summary: [summaryPart(text)], encrypted_content: text };
    case "tool":
      return callItem(block, scope, status);
  }
}

/** A call as an item of its tool's type, under the client's name of the tool. */
function callItem(block: Block, scope: ResponseContext, status: ResponseStatus): object {
  const { context } = scope;
  const called = calledTool(block, scope);
  const form = called?.form ?? FUNCTION_FORM;
  return {
    id: itemId(block, scope),
    type: form.call,
    status,
    // A call without an id from its backend gets one from the task and its index.
    call_id: block.id ?? `call_${context.id}_${block.index}`,
    ...(isNamed(form) ? { name: called?.name ?? block.name } : {}),
    ...(called?.namespace === undefined ? {} : { namespace: called.namespace }),
    ...callFields(form, block.text, status),
  };
}

/** The content fields of a call. Streamed texts begin empty. */
function callFields(form: ToolForm, text: string, status: ResponseStatus): object {
  const begun = status === "in_progress";
  if (form === FUNCTION_FORM) return { arguments: begun ? "" : callArguments(text, status) };
  return form.itemFields(begun ? "" : text);
}

/** A call without arguments has an empty object. A call that was truncated before them has none. */
export function callArguments(text: string, status: ResponseStatus): string {
  return text.trim() || (status === "incomplete" ? "" : "{}");
}

/** The state of an item in a finished response. The last item may be incomplete, and so is every truncated call. */
export function itemStatus(block: Block, isLast: boolean, reason: EndReason): ResponseStatus {
  if (incompleteReason(reason) === undefined) return "completed";
  return isLast || (block.type === "tool" && isTruncatedCall(block.text, reason))
    ? "incomplete"
    : "completed";
}

/** The part of a message. */
export function textPart(text: string): object {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

/** The part of a reasoning item. */
export function summaryPart(text: string): object {
  return { type: "summary_text", text };
}
