import type { ChatRequest, ContentPart, Format, GenerateRequest } from "../../core/chat.ts";
import type { LoadRequest, Message, NeutralRequest, Think, Tool, ToolCall } from "../../core/chat.ts";
import { isObject, type Json } from "../../core/json.ts";
import { argumentsObject } from "../arguments.ts";
import type { BackendRequest } from "../protocol.ts";
import { droppedFields } from "./dropped.ts";
import { encodeEmbed } from "./embed-client.ts";
import { fitChat } from "../fitting.ts";
import { writeImages } from "./images.ts";
import { writeOptions } from "./options.ts";
import { joinTexts } from "../system-first.ts";

export const CHAT_PATH = "/api/chat";
export const GENERATE_PATH = "/api/generate";
export const EMBED_PATH = "/api/embed";

interface Target {
  readonly model: string;
  readonly stream: boolean;
}

/**
 * A neutral request as Ollama takes it. Every field of Ollama's own is named after `extra`, so that no foreign
 * field can stand for it; undefined ones are left out by JSON itself.
 */
export function encodeRequest(request: NeutralRequest, target: Target): BackendRequest {
  // Ollama fetches no images.
  const fitted = fitChat(request, ({ type }) => (type === "image-url" ? "image_url" : undefined));
  const { path, body } = write(fitted.request, target);
  return { path, body: JSON.stringify(body), dropped: [...droppedFields(request), ...fitted.dropped] };
}

function write(request: NeutralRequest, target: Target): { readonly path: string; readonly body: object } {
  switch (request.kind) {
    case "chat":
      return { path: CHAT_PATH, body: encodeChat(request, target) };
    case "generate":
      return { path: GENERATE_PATH, body: encodeGenerate(request, target) };
    case "load":
      return { path: GENERATE_PATH, body: encodeLoad(request, target) };
    case "embed":
      return { path: EMBED_PATH, body: encodeEmbed(request, target.model) };
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

/** Ollama's least effort is "low". */
function encodeThink(think: Think | undefined): Think | undefined {
  return think === "minimal" ? "low" : think;
}

/** Ollama has no `tool_choice`: "none" hides the tools, a name hides the others, "required" stays a wish. */
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

/** Names of the tools called so far by the id of the call: other dialects leave the name out of a result. */
function toolNames(messages: readonly Message[]): ReadonlyMap<string, string> {
  const calls = messages.flatMap((message) => message.toolCalls ?? []);
  return new Map(calls.map((call) => [call.id, call.name]));
}

function encodeCall({ id, name, arguments: text }: ToolCall): object {
  return { id, function: { name, arguments: argumentsObject(text) } };
}
