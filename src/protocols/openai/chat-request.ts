import type { ChatRequest, Format, Think, Tool, ToolChoice } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import {
  definedFields,
  flagField,
  invalidRequest,
  listField,
  mismatch,
  numberField,
  objectField,
  textField,
} from "../fields.ts";
import { allowedOf, readAllowed } from "./allowed-tools.ts";
import { readOpenaiMessages } from "./messages.ts";
import { readKeepAliveExtension, readOptionsExtension, readSampling, unknownFields } from "./sampling.ts";

type SchemaFormat = Extract<Format, { readonly type: "schema" }>;

/** A body in neutral form. */
export interface Translation<T> {
  readonly request: T;
  /** A part of the body without a neutral form, in words; undefined for none. */
  readonly obstacle: string | undefined;
}

/** Fields with a neutral form. All others are kept in `extra`. */
const KNOWN = new Set(
  (
    "model messages stream stream_options n max_tokens max_completion_tokens temperature top_p top_k min_p " +
    "typical_p seed stop presence_penalty frequency_penalty repetition_penalty repeat_penalty repeat_last_n " +
    "tools tool_choice parallel_tool_calls functions function_call response_format reasoning_effort " +
    "reasoning logprobs top_logprobs keep_alive options"
  ).split(" "),
);

/**
 * Reads the body of POST /v1/chat/completions. Throws `invalid_request` for a body that no backend accepts. Content
 * that only cannot be translated becomes an obstacle.
 */
export function readChatCompletion(body: JsonObject): Translation<ChatRequest> {
  const obstacles: string[] = [];
  const unread: string[] = [];
  checkModalities(body, obstacles);
  const messages = readOpenaiMessages(body, { obstacles, unread });
  const allowed = readAllowed(body["tool_choice"]);
  const tools = allowedOf(readTools(body, unread), allowed);
  const toolChoice = readToolChoice(
    allowed === undefined ? body : { tool_choice: allowed.mode ?? null },
    obstacles,
  );
  if (toolChoice === "required" && tools === undefined && unread.some((name) => name.startsWith("tools."))) {
    obstacles.push("a required call of a tool that is not a function");
  }
  const { inner, runner } = readOptionsExtension(objectField(body, "options"));
  const request: ChatRequest = {
    kind: "chat",
    messages,
    sampling: { temperature: 1, topP: 1, ...inner, ...readSampling(body) },
    ...definedFields({
      choices: readChoices(body, obstacles),
      tools,
      toolChoice,
      parallelToolCalls: flagField(body, "parallel_tool_calls"),
      format: readFormat(objectField(body, "response_format"), obstacles),
      think: readThink(body),
      logprobs: readLogprobs(body),
      keepAlive: readKeepAliveExtension(body),
      runner,
      extra: unknownFields(body, KNOWN),
      unread: unread.length === 0 ? undefined : unread,
    }),
  };
  return { request, obstacle: obstacles[0] };
}

/** Neutral replies are text. */
function checkModalities(body: JsonObject, obstacles: string[]): void {
  const other = listField(body, "modalities")?.find((modality) => modality !== "text");
  if (other !== undefined) obstacles.push(`modality ${JSON.stringify(other)}`);
}

/** Most answers that are made one by one, where a backend makes only one at a time. */
export const MOST_CHOICES = 16;

/**
 * Reads the number of answers; undefined for one. Each takes a run of the model, so more than 16 are an obstacle.
 * Throws `invalid_request` for an invalid number.
 */
export function readChoices(body: JsonObject, obstacles: string[]): number | undefined {
  const choices = numberField(body, "n") ?? 1;
  if (!Number.isInteger(choices) || choices < 1)
    throw invalidRequest("n must be a whole number of at least 1");
  if (choices > MOST_CHOICES) obstacles.push(`n>${MOST_CHOICES}`);
  return choices === 1 ? undefined : choices;
}

/** Reads functions as tools. Other tools only reach backends of the same dialect. */
function readTools(body: JsonObject, unread: string[]): readonly Tool[] | undefined {
  const tools: Tool[] = [];
  for (const item of listField(body, "tools") ?? []) {
    if (!isObject(item)) throw mismatch("tools", item, "api.Tool");
    const type = textField(item, "type") ?? "function";
    if (type === "function") tools.push(readTool(item["function"] ?? null));
    else unread.push(`tools.${type}`);
  }
  for (const item of listField(body, "functions") ?? []) tools.push(readTool(item));
  return tools.length === 0 ? undefined : tools;
}

/** Reads a function as a tool. Throws `invalid_request` when it has no name. */
export function readTool(item: Json): Tool {
  if (!isObject(item)) throw mismatch("tools", item, "api.ToolFunction");
  const name = textField(item, "name");
  if (name === undefined || name === "") throw invalidRequest("a tool needs a function with a name");
  return {
    name,
    ...definedFields({
      description: textField(item, "description"),
      parameters: objectField(item, "parameters"),
      strict: flagField(item, "strict"),
    }),
  };
}

function readToolChoice(body: JsonObject, obstacles: string[]): ToolChoice | undefined {
  const choice = body["tool_choice"] ?? body["function_call"] ?? undefined;
  if (choice === undefined || choice === "auto" || choice === "none" || choice === "required") return choice;
  if (typeof choice === "string") throw invalidRequest(`Invalid tool_choice: ${choice}`);
  if (!isObject(choice)) throw mismatch("tool_choice", choice, "string or object");
  const called = objectField(choice, "function") ?? choice;
  const name = textField(called, "name");
  if (name !== undefined) return { name };
  obstacles.push(`tool_choice of type ${JSON.stringify(choice["type"])}`);
  return undefined;
}

/** Reads a `response_format`. A type without a neutral form becomes an obstacle. */
export function readFormat(format: JsonObject | undefined, obstacles: string[]): Format | undefined {
  const type = format === undefined ? undefined : textField(format, "type");
  if (format === undefined || type === undefined || type === "text") return undefined;
  if (type === "json_object") return { type: "json" };
  if (type !== "json_schema") {
    obstacles.push(`response_format of type ${JSON.stringify(type)}`);
    return undefined;
  }
  const holder = objectField(format, "json_schema") ?? {};
  const schema = objectField(holder, "schema");
  if (schema === undefined) return { type: "json" };
  return { type: "schema", schema, ...formatDetails(holder) };
}

/** The name, the description and `strict` of a format with a schema. */
export function formatDetails(holder: JsonObject): Pick<SchemaFormat, "name" | "description" | "strict"> {
  return definedFields({
    name: textField(holder, "name"),
    description: textField(holder, "description"),
    strict: flagField(holder, "strict"),
  });
}

/** Ollama's efforts. The neutral form has none above "max". */
const EFFORTS: ReadonlyMap<string, Think> = new Map<string, Think>([
  ["none", false],
  ["minimal", "minimal"],
  ["low", "low"],
  ["medium", "medium"],
  ["high", "high"],
  ["xhigh", "max"],
  ["ultra", "max"],
  ["max", "max"],
]);

/** The effort in `reasoning_effort` or `reasoning.effort`. Throws `invalid_request` for an unknown one. */
export function readThink(body: JsonObject): Think | undefined {
  const nested = body["reasoning"] ?? undefined;
  const effort =
    textField(body, "reasoning_effort") ?? (isObject(nested) ? textField(nested, "effort") : undefined);
  if (effort === undefined) return undefined;
  const think = EFFORTS.get(effort);
  if (think !== undefined) return think;
  throw invalidRequest(
    `invalid reasoning value: ${JSON.stringify(effort)} (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")`,
  );
}

const MAX_TOP_LOGPROBS = 20;

function readLogprobs(body: JsonObject): { readonly top: number } | undefined {
  const asked = flagField(body, "logprobs") ?? false;
  const top = numberField(body, "top_logprobs") ?? 0;
  if (!Number.isInteger(top) || top < 0 || top > MAX_TOP_LOGPROBS) {
    throw invalidRequest(`top_logprobs must be between 0 and ${MAX_TOP_LOGPROBS}`);
  }
  return asked ? { top } : undefined;
}

/** Returns the neutral request. Throws `unsupported` when it has an obstacle. */
export function neutralRequest<T>({ request, obstacle }: Translation<T>): T {
  if (obstacle === undefined) return request;
  throw new Fault("unsupported", `${obstacle} is not supported by the backend of this model`);
}
