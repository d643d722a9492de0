import type {
  ChatRequest,
  EmbedRequest,
  Format,
  GenerateRequest,
  Message,
  NeutralRequest,
  Sampling,
  Think,
  Tool,
  ToolChoice,
} from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { BackendRequest } from "../codec.ts";
import { replaceUnsupported } from "../placeholders.ts";
import { canDecode, writeMessages } from "./encode-messages.ts";
import { openaiDroppedFields } from "./dropped-fields.ts";
import { encodeOpenaiEmbed } from "./embed-client.ts";
import type { OpenAIProfile } from "./profiles.ts";

export const CHAT_COMPLETIONS_PATH = "/v1/chat/completions";
export const COMPLETIONS_PATH = "/v1/completions";
const INFILL_PATH = "/infill";

interface EncodeOptions {
  /** The backend's own id of the model. */
  readonly model: string;
  readonly stream: boolean;
}

type TextOrLoad = Exclude<NeutralRequest, EmbedRequest>;

/** Encodes a request for a backend of this profile. Throws `unsupported` or `not_implemented`. */
export function encodeOpenaiRequest(
  request: NeutralRequest,
  options: EncodeOptions,
  profile: OpenAIProfile,
): BackendRequest {
  if (request.kind === "embed") return encodeOpenaiEmbed(request, options.model, profile);
  const path = pathOf(request, profile);
  const fitted = replaceUnsupported(request, (part) => (canDecode(part, profile) ? undefined : part.type));
  const body =
    path === CHAT_COMPLETIONS_PATH
      ? chatBody(asChat(fitted.request), profile)
      : promptBody(request, path, profile);
  const counts = options.stream && profile.streamOptions ? { stream_options: { include_usage: true } } : {};
  const stream = { stream: options.stream, ...counts };
  const dropped = openaiDroppedFields(request, path === CHAT_COMPLETIONS_PATH ? "chat" : "prompt", profile);
  return {
    path,
    body: JSON.stringify({ model: options.model, ...body, ...stream }),
    dropped: [...dropped, ...fitted.dropped],
  };
}

/** The path of a request, which also determines the format of the reply. */
function pathOf(request: TextOrLoad, profile: OpenAIProfile): string {
  if (request.kind === "load") {
    throw new Fault("not_implemented", `a ${profile.name} backend does not load models on request`);
  }
  if (request.kind === "chat") return CHAT_COMPLETIONS_PATH;
  if (hasText(request.suffix)) return suffixPath(profile);
  if (hasText(request.template)) {
    throw new Fault("unsupported", `a ${profile.name} backend does not accept a template in a request`);
  }
  if (!request.raw) return CHAT_COMPLETIONS_PATH;
  if (profile.completions) return COMPLETIONS_PATH;
  throw new Fault("not_implemented", `a ${profile.name} backend does not accept a raw prompt`);
}

function suffixPath(profile: OpenAIProfile): string {
  switch (profile.suffix) {
    case "completions":
      return COMPLETIONS_PATH;
    case "infill":
      return INFILL_PATH;
    case "none":
      throw new Fault("not_implemented", `a ${profile.name} backend does not support insert`);
  }
}

function hasText(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}

/**
 * Converts a generate request into a chat of one turn. Its token context is dropped and reported, because only the
 * server that wrote it can read it.
 */
function asChat(request: TextOrLoad): ChatRequest {
  if (request.kind === "chat") return request;
  if (request.kind === "load") throw new Fault("internal", "a load request has no chat form");
  const { prompt, system, images } = request;
  const turn: Message = { role: "user", content: [{ type: "text", text: prompt }, ...images] };
  const messages: Message[] = hasText(system)
    ? [{ role: "system", content: [{ type: "text", text: system }] }, turn]
    : [turn];
  return { ...request, kind: "chat", messages };
}

function chatBody(request: ChatRequest, profile: OpenAIProfile): JsonObject {
  return {
    messages: writeMessages(request.messages, profile),
    ...samplingFields(request.sampling, profile),
    ...runnerFields(request.runner ?? {}, profile),
    ...toolFields(request, profile),
    ...formatFields(request.format, profile.format, profile),
    ...thinkFields(request.think, profile),
    ...(request.logprobs === undefined
      ? {}
      : { logprobs: true, top_logprobs: Math.max(request.logprobs.top, profile.minTopLogprobs) }),
  };
}

function promptBody(request: TextOrLoad, path: string, profile: OpenAIProfile): JsonObject {
  if (request.kind !== "generate") throw new Fault("internal", "only a generate request has a bare prompt");
  if (request.images.length > 0) {
    throw new Fault("unsupported", `a ${profile.name} backend takes images only in a chat`);
  }
  const common = {
    ...samplingFields(request.sampling, profile),
    ...runnerFields(request.runner ?? {}, profile),
    ...formatFields(request.format, profile.completionsFormat, profile),
  };
  const top = request.logprobs === undefined ? {} : logprobsCount(request.logprobs.top, path, profile);
  return { ...promptFields(request, path), ...common, ...top };
}

function promptFields(request: GenerateRequest, path: string): JsonObject {
  const suffix = request.suffix ?? "";
  if (path === INFILL_PATH) return { input_prefix: request.prompt, input_suffix: suffix };
  return suffix === "" ? { prompt: request.prompt } : { prompt: request.prompt, suffix };
}

/** Outside of chats log probabilities are requested by number. /infill has another name for it. */
function logprobsCount(top: number, path: string, profile: OpenAIProfile): JsonObject {
  const count = Math.max(top, profile.minTopLogprobs);
  return path === INFILL_PATH ? { n_probs: count } : { logprobs: count };
}

/** False for Ollama's sentinels, which mean the default: no limit (-1, -2, 0) and any seed (-1). */
function isSet(name: keyof Sampling, value: number | readonly string[]): boolean {
  if (typeof value !== "number") return value.length > 0;
  if (name === "maxTokens") return value > 0;
  return name !== "seed" || value >= 0;
}

function samplingFields(sampling: Sampling, profile: OpenAIProfile): JsonObject {
  const fields: JsonObject = {};
  for (const name of Object.keys(profile.sampling) as (keyof Sampling)[]) {
    const wire = profile.sampling[name];
    const value = sampling[name];
    if (wire === undefined || value === undefined || !isSet(name, value)) continue;
    fields[wire] = typeof value === "number" ? value : [...value];
  }
  return fields;
}

function runnerFields(runner: JsonObject, profile: OpenAIProfile): JsonObject {
  const fields: JsonObject = {};
  for (const [name, wire] of Object.entries(profile.runner)) {
    const value = Object.hasOwn(runner, name) ? runner[name] : undefined;
    if (value !== undefined && value !== null) fields[wire] = value;
  }
  return fields;
}

function toolFields(request: ChatRequest, profile: OpenAIProfile): JsonObject {
  const { tools, toolChoice, parallelToolCalls } = request;
  if (tools === undefined || tools.length === 0) return {};
  if (!profile.toolChoice && toolChoice === "none") return {};
  if (!profile.toolChoice && toolChoice !== undefined && toolChoice !== "auto") {
    throw new Fault("unsupported", `a ${profile.name} backend cannot be forced to call a tool`);
  }
  const fields: JsonObject = { tools: tools.map(writeTool) };
  if (toolChoice !== undefined) fields["tool_choice"] = writeToolChoice(toolChoice);
  if (parallelToolCalls !== undefined) fields["parallel_tool_calls"] = parallelToolCalls;
  return fields;
}

function writeTool(tool: Tool): JsonObject {
  const { name, description, parameters, strict } = tool;
  return { type: "function", function: { name, description, parameters, strict } };
}

function writeToolChoice(choice: ToolChoice): Json {
  return typeof choice === "string" ? choice : { type: "function", function: { name: choice.name } };
}

function formatFields(format: Format | undefined, supported: boolean, profile: OpenAIProfile): JsonObject {
  if (format === undefined) return {};
  if (!supported) {
    throw new Fault("unsupported", `a ${profile.name} backend cannot enforce a format here`);
  }
  if (format.type === "json") return { response_format: { type: "json_object" } };
  const { name = "schema", description, schema, strict } = format;
  return { response_format: { type: "json_schema", json_schema: { name, description, schema, strict } } };
}

function thinkFields(think: Think | undefined, profile: OpenAIProfile): JsonObject {
  if (think === undefined) return {};
  const level = typeof think === "boolean" ? undefined : think;
  const effort = level === "max" ? profile.maxEffort : level;
  const enabled = think !== false;
  const effortField = effort === undefined ? {} : { reasoning_effort: effort };
  switch (profile.think) {
    case "effort":
      return effortField;
    case "template":
      return { ...effortField, chat_template_kwargs: { enable_thinking: enabled } };
    case "template-effort":
      return { ...effortField, chat_template_kwargs: { enable_thinking: enabled, ...effortField } };
    case "switch":
      return { ...effortField, enable_thinking: enabled };
  }
}
