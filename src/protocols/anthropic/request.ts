import type { ChatRequest, Format, Sampling, Think } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import { meaningfulFields } from "../dropped-fields.ts";
import { BodyFields, invalidRequest, withoutUndefined } from "../fields.ts";
import type { RequestHead } from "../codec.ts";
import { readAnthropicMessages } from "./messages.ts";
import { readAnthropicTools } from "./tools.ts";

/** Checks the body of POST /v1/messages in Ollama's order and words. */
export function validateMessages(body: JsonObject): RequestHead {
  const fields = fieldsOf(body);
  const model = readModel(fields);
  if ((fields.integer("max_tokens") ?? 0) <= 0)
    throw invalidRequest("max_tokens is required and must be positive");
  readAnthropicChat(body);
  return { model, stream: fields.flag("stream") ?? false };
}

/** Checks the body of POST /v1/messages/count_tokens, which has neither max_tokens nor stream. */
export function validateCount(body: JsonObject): RequestHead {
  const model = readModel(fieldsOf(body));
  readAnthropicChat(body);
  return { model, stream: false };
}

function fieldsOf(body: JsonObject): BodyFields {
  return new BodyFields(body, "MessagesRequest");
}

function readModel(fields: BodyFields): string {
  const model = fields.text("model");
  if (model === "") throw new Fault("model_required", "model is required");
  return model;
}

const KNOWN = new Set(
  (
    "model stream max_tokens temperature top_p top_k stop_sequences system messages tools tool_choice thinking " +
    "output_config output_format"
  ).split(" "),
);

/**
 * Reads a body into neutral form. Only the names of unknown fields are kept, except fields about the service
 * (metadata, cache_control, service_tier). Throws `invalid_request`, or `unsupported` for a feature that no backend
 * has.
 */
export function readAnthropicChat(body: JsonObject): ChatRequest {
  const fields = fieldsOf(body);
  if (fields.list("messages", "[]anthropic.MessageParam").length === 0)
    throw invalidRequest("messages is required");
  const output = fields.inner("output_config", "anthropic.OutputConfig");
  const think = readThink(fields, output);
  const { messages, dropped } = readAnthropicMessages(fields);
  const tools = readAnthropicTools(fields);
  return withoutUndefined<ChatRequest>({
    kind: "chat",
    messages,
    ...tools.fields,
    sampling: readSampling(fields),
    format: readFormat(formatOf(fields, output)),
    think,
    // Clients of this dialect ask every model to think. Models that cannot may answer all the same, as with Ollama.
    thinkIfAble: think === undefined || think === false ? undefined : true,
    unread: readUnread(fields, [...dropped, ...tools.dropped]),
  });
}

function readUnread(fields: BodyFields, dropped: readonly string[]): readonly string[] | undefined {
  const names = meaningfulFields(fields.others(KNOWN));
  const thinking = fields.inner("thinking", "anthropic.ThinkingConfig");
  if (thinking.any("budget_tokens") !== undefined) names.push("thinking.budget_tokens");
  // No other API limits thinking to the time between tools.
  if (thinking.text("type") === "between_tools") names.push("thinking.type");
  if (fields.inner("output_config", "anthropic.OutputConfig").any("task_budget") !== undefined)
    names.push("output_config.task_budget");
  return names.length + dropped.length === 0 ? undefined : [...names, ...dropped];
}

function readSampling(fields: BodyFields): Sampling {
  const stop = fields.texts("stop_sequences");
  return withoutUndefined<Sampling>({
    maxTokens: fields.integer("max_tokens"),
    temperature: fields.number("temperature"),
    topP: fields.number("top_p"),
    topK: fields.integer("top_k"),
    stop: stop.length === 0 ? undefined : stop,
  });
}

const EFFORTS: ReadonlyMap<string, Think> = new Map<string, Think>([
  ["low", "low"],
  ["medium", "medium"],
  ["high", "high"],
  ["xhigh", "max"],
  ["max", "max"],
]);

/** The effort is the level. Without one the model's default counts. Token budgets exist in no other API. */
function readThink(fields: BodyFields, output: BodyFields): Think | undefined {
  const mode = fields.inner("thinking", "anthropic.ThinkingConfig").text("type");
  const effort = output.text("effort");
  if (effort !== "" && !EFFORTS.has(effort))
    throw invalidRequest(`output_config: unexpected effort ${JSON.stringify(effort)}`);
  switch (mode) {
    case "disabled":
      return false;
    case "enabled":
    case "adaptive":
    case "between_tools":
      return EFFORTS.get(effort) ?? true;
    case "":
      return EFFORTS.get(effort);
    default:
      throw invalidRequest(`thinking: unexpected type ${JSON.stringify(mode)}`);
  }
}

/** The older field counts when the newer one is unset. */
function formatOf(fields: BodyFields, output: BodyFields): BodyFields {
  const name = output.any("format") === undefined ? "output_format" : "format";
  return (name === "format" ? output : fields).inner(name, "anthropic.OutputFormat");
}

function readFormat(format: BodyFields): Format | undefined {
  const type = format.text("type");
  if (type === "") return undefined;
  const schema = format.object("schema", "anthropic.Schema");
  if (type !== "json_schema" || schema === undefined) {
    throw invalidRequest("output_config.format must be of type json_schema with a schema");
  }
  return { type: "schema", schema };
}
