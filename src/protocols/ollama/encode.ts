import type { ChatRequest, ContentPart, Format, GenerateRequest } from "../../core/chat.ts";
import type { LoadRequest, Message, NeutralRequest, Think, Tool, ToolCall } from "../../core/chat.ts";
import { isObject, type Json } from "../../core/json.ts";
import { argumentsObject } from "../tool-arguments.ts";
import type { BackendRequest } from "../codec.ts";
import { ollamaDroppedFields } from "./dropped-fields.ts";
import { encodeOllamaEmbed } from "./embed-client.ts";
import { replaceUnsupported } from "../placeholders.ts";
import { writeImages } from "./images.ts";
import { writeOptions } from "./options.ts";
import { joinTexts } from "../system-message.ts";

export const OLLAMA_CHAT_PATH = "/api/chat";
export const GENERATE_PATH = "/api/generate";
export const EMBED_PATH = "/api/embed";

interface Target {
  readonly model: string;
  readonly stream: boolean;
}

/**
 * Encodes a neutral request for Ollama. Ollama's own fields follow `extra`, so that no foreign field overrides them.
 * JSON omits undefined fields.
 */
export function encodeOllamaRequest(request: NeutralRequest, target: Target): BackendRequest {
  // Ollama does not fetch images.
  const fitted = replaceUnsupported(request, ({ type }) => (type === "image-url" ? "image_url" : undefined));
  const { path, body } = write(fitted.request, target);
  return { path, body: JSON.stringify(body), dropped: [...ollamaDroppedFields(request), ...fitted.dropped] };
}

function write(request: NeutralRequest, target: Target): { readonly path: string; readonly body: object } {
  switch (request.kind) {
    case "chat":
      return { path: OLLAMA_CHAT_PATH, body: encodeChat(request, target) };
    case "generate":
      return { path: GENERATE_PATH, body: encodeGenerate(request, target) };
    case "load":
      return { path: GENERATE_PATH, body: encodeLoad(request, target) };
    case "embed":
      return { path: EMBED_PATH, body: encodeOllamaEmbed(request, target.model) };
  }
}

function encodeChat(request: ChatRequest, target: Target): object {
  const names = toolNames(request.messages);
  return {
    ...request.extra,
    ...target,
    messages: request.messages.map((message) => encodeMessage(message, names)),
    tools: encodeTools(request),
    ...encodeShared(request),
  };
}

function encodeGenerate(request: GenerateRequest, target: Target): object {
  return {
    ...request.extra,
    ...target,
    prompt: request.prompt,
    suffix: request.suffix,
    system: request.system,
    template: request.template,
    context: request.context,
    raw: request.raw || undefined,
    images: writeImages(request.images),
    ...encodeShared(request),
  };
}

function encodeLoad({ unload, keepAlive }: LoadRequest, { model }: Target): object {
  return { model, stream: false, keep_alive: keepAlive ?? (unload ? 0 : undefined) };
}

function encodeShared(request: ChatRequest | GenerateRequest): object {
  return {
    format: encodeFormat(request.format),
    think: encodeThink(request.think),
    options: writeOptions(request.sampling, request.runner),
    keep_alive: request.keepAlive,
    logprobs: request.logprobs && true,
    top_logprobs: request.logprobs?.top || undefined,
  };
}

function encodeFormat(format: Format | undefined): Json | undefined {
  return format?.type === "schema" ? format.schema : format?.type;
}

/** Ollama's lowest effort is "low". */
function encodeThink(think: Think | undefined): Think | undefined {
  return think === "minimal" ? "low" : think;
}

/** Ollama has no `tool_choice`. "none" hides all tools, a name hides the others, "required" cannot be enforced. */
function encodeTools({ tools, toolChoice }: ChatRequest): object[] | undefined {
  if (tools === undefined || toolChoice === "none") return undefined;
  const named = isObject(toolChoice) ? toolChoice["name"] : undefined;
  return tools.filter(({ name }) => named === undefined || name === named).map(encodeTool);
}

function encodeTool({ name, description, parameters, strict }: Tool): object {
  return { type: "function", function: { name, description, parameters, strict } };
}

function encodeMessage(message: Message, names: ReadonlyMap<string, string>): object {
  const { role, content, thinking, toolCalls, toolCallId } = message;
  const isSystem = role === "system" || role === "developer";
  return {
    role: isSystem ? "system" : role,
    content: joinText(isSystem ? joinTexts(content) : content),
    thinking,
    images: writeImages(content),
    tool_calls: toolCalls?.map(encodeCall),
    tool_name: message.toolName ?? (toolCallId === undefined ? undefined : names.get(toolCallId)),
    tool_call_id: toolCallId,
  };
}

function joinText(content: readonly ContentPart[]): string {
  return content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** Names of called tools by the id of the call. Other dialects omit the name in a result. */
function toolNames(messages: readonly Message[]): ReadonlyMap<string, string> {
  const calls = messages.flatMap((message) => message.toolCalls ?? []);
  return new Map(calls.map((call) => [call.id, call.name]));
}

function encodeCall({ id, name, arguments: text }: ToolCall): object {
  return { id, function: { name, arguments: argumentsObject(text) } };
}
