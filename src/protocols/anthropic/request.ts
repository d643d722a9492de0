import type { ChatRequest, Format, Sampling, Think } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import { telling } from "../dropped.ts";
import { Fields, refusal, setOnly } from "../fields.ts";
import type { Opening } from "../protocol.ts";
import { readMessages } from "./messages.ts";
import { readTools } from "./tools.ts";

/** Checks the body of POST /v1/messages, in Ollama's order and words. */
export function openMessages(body: JsonObject): Opening {
  const fields = fieldsOf(body);
  const model = readModel(fields);
  if ((fields.integer("max_tokens") ?? 0) <= 0) throw refusal("max_tokens is required and must be positive");
  readChat(body);
  return { model, stream: fields.flag("stream") ?? false };
}

/** Checks the body of POST /v1/messages/count_tokens, which has no max_tokens and no stream. */
export function openCount(body: JsonObject): Opening {
  const model = readModel(fieldsOf(body));
  readChat(body);
  return { model, stream: false };
}

function fieldsOf(body: JsonObject): Fields {
  return new Fields(body, "MessagesRequest");
}

function readModel(fields: Fields): string {
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
 * A body in neutral form. Of unknown fields only the names are kept, and not of those about the service instead of
 * the answer: metadata, cache_control, service_tier and the like. Throws `invalid_request`, or `unsupported` for what no
 * backend can do.
 */
export function readChat(body: JsonObject): ChatRequest {
  const fields = fieldsOf(body);
  if (fields.list("messages", "[]anthropic.MessageParam").length === 0) throw refusal("messages is required");
  const output = fields.inner("output_config", "anthropic.OutputConfig");
  const think = readThink(fields, output);
  const { messages, dropped } = readMessages(fields);
  const tools = readTools(fields);
  return setOnly<ChatRequest>({
    kind: "chat",
    messages,
    ...tools.fields,
    sampling: readSampling(fields),
    format: readFormat(formatOf(fields, output)),
    think,
    // Clients of this dialect ask every model to think; Ollama lets those answer that cannot.
    thinkIfAble: think === undefined || think === false ? undefined : true,
    unread: readUnread(fields, [...dropped, ...tools.dropped]),
  });
}

function readUnread(fields: Fields, dropped: readonly string[]): readonly string[] | undefined {
  const names = telling(fields.beyond(KNOWN));
  const thinking = fields.inner("thinking", "anthropic.ThinkingConfig");
  if (thinking.any("budget_tokens") !== undefined) names.push("thinking.budget_tokens");
  // No other model can be told to think there only.
  if (thinking.text("type") === "between_tools") names.push("thinking.type");
  if (fields.inner("output_config", "anthropic.OutputConfig").any("task_budget") !== undefined)
    names.push("output_config.task_budget");
  return names.length + dropped.length === 0 ? undefined : [...names, ...dropped];
}

function readSampling(fields: Fields): Sampling {
  const stop = fields.texts("stop_sequences");
  return setOnly<Sampling>({
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

/** An effort says how much; without one a model thinks as it does. A budget in tokens has no other name elsewhere. */
function readThink(fields: Fields, output: Fields): Think | undefined {
  const mode = fields.inner("thinking", "anthropic.ThinkingConfig").text("type");
  const effort = output.text("effort");
  if (effort !== "" && !EFFORTS.has(effort))
    throw refusal(`output_config: unexpected effort ${JSON.stringify(effort)}`);
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
      throw refusal(`thinking: unexpected type ${JSON.stringify(mode)}`);
  }
}

/** The older name counts where the newer one is not set. */
function formatOf(fields: Fields, output: Fields): Fields {
  const name = output.any("format") === undefined ? "output_format" : "format";
  return (name === "format" ? output : fields).inner(name, "anthropic.OutputFormat");
}

function readFormat(format: Fields): Format | undefined {
  const type = format.text("type");
  if (type === "") return undefined;
  const schema = format.object("schema", "anthropic.Schema");
  if (type !== "json_schema" || schema === undefined) {
    throw refusal("output_config.format must be of type json_schema with a schema");
  }
  return { type: "schema", schema };
}
