import type { ChatRequest, Format, Tool, ToolChoice } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { telling } from "../dropped.ts";
import { present, refusal } from "../fields.ts";
import { flagField, listField, mismatch, numberField, objectField, textField } from "./fields.ts";
import { formatDetails, type Read, readThink, readTool } from "./request.ts";
import { readInput } from "./responses-items.ts";
import { rest } from "./sampling.ts";

/** What this server would have to remember or run by itself. */
const STATEFUL = ["previous_response_id", "conversation", "prompt"] as const;

const KNOWN = new Set(
  (
    "model input instructions stream tools tool_choice parallel_tool_calls text reasoning temperature top_p " +
    "max_output_tokens previous_response_id conversation prompt background"
  ).split(" "),
);

/**
 * The body of POST /v1/responses in neutral form. Of unknown fields only the names are kept, and not of those about
 * the service instead of the answer (store, metadata and the like). Throws `invalid_request`, or `unsupported` for what needs a server that keeps
 * responses or runs tools.
 */
export function readResponses(body: JsonObject): Read<ChatRequest> {
  for (const name of STATEFUL) {
    if ((body[name] ?? undefined) !== undefined) {
      throw new Fault("unsupported", `${name} is not supported: this server keeps no responses`);
    }
  }
  if (flagField(body, "background") === true) {
    throw new Fault("unsupported", "background is not supported: this server keeps no responses");
  }
  const request: ChatRequest = {
    kind: "chat",
    messages: readInput(body),
    sampling: {
      temperature: numberField(body, "temperature") ?? 1,
      topP: numberField(body, "top_p") ?? 1,
      ...present({ maxTokens: numberField(body, "max_output_tokens") }),
    },
    ...present({
      tools: readTools(body),
      toolChoice: readToolChoice(body["tool_choice"] ?? undefined),
      parallelToolCalls: flagField(body, "parallel_tool_calls"),
      format: readFormat(objectField(objectField(body, "text") ?? {}, "format") ?? {}),
      think: readThink(body),
      unread: readUnread(body),
    }),
  };
  // Nothing is passed through here: what has no neutral form has been refused.
  return { request, obstacle: undefined };
}

function readUnread(body: JsonObject): readonly string[] | undefined {
  const names = telling(rest(body, KNOWN));
  const { input } = body;
  if (Array.isArray(input) && input.some(isSearch)) names.push("input.web_search_call");
  if ((listField(body, "tools") ?? []).some(isSearch)) names.push("tools.web_search");
  if (textField(objectField(body, "text") ?? {}, "verbosity") !== undefined) names.push("text.verbosity");
  return names.length === 0 ? undefined : names;
}

/** True for the tool that searches the web, and for what it was asked before. */
function isSearch(item: Json): boolean {
  return isObject(item) && (textField(item, "type") ?? "").startsWith("web_search");
}

/** The tools that a model is shown; undefined when there are none. */
export function readTools(body: JsonObject): readonly Tool[] | undefined {
  const allowed = allowedNames(body["tool_choice"]);
  const tools = (listField(body, "tools") ?? []).flatMap(readToolItem);
  const shown = allowed === undefined ? tools : tools.filter(({ name }) => allowed.includes(name));
  return shown.length === 0 ? undefined : shown;
}

/** A search of the web is an offer to the model that nobody here can keep: it is not made. */
function readToolItem(item: Json): Tool[] {
  if (!isObject(item)) throw mismatch("tools", item, "openai.Tool");
  const type = textField(item, "type") ?? "";
  if (type === "function") return [readTool(item)];
  if (isSearch(item)) return [];
  throw new Fault("unsupported", `tools of type ${JSON.stringify(type)} are not supported by this server`);
}

function allowedNames(choice: Json | undefined): readonly string[] | undefined {
  if (!isObject(choice) || choice["type"] !== "allowed_tools") return undefined;
  return (listField(choice, "tools") ?? []).map((tool) =>
    isObject(tool) ? (textField(tool, "name") ?? "") : "",
  );
}

function readToolChoice(choice: Json | undefined): ToolChoice | undefined {
  if (choice === undefined || choice === "auto" || choice === "none" || choice === "required") return choice;
  if (!isObject(choice)) throw refusal(`Invalid tool_choice: ${JSON.stringify(choice)}`);
  if (choice["type"] === "allowed_tools") return readToolChoice(choice["mode"] ?? undefined);
  const name = textField(choice, "name") ?? "";
  if (choice["type"] === "function" && name !== "") return { name };
  throw new Fault("unsupported", `tool_choice of type ${JSON.stringify(choice["type"])} is not supported`);
}

function readFormat(format: JsonObject): Format | undefined {
  const type = textField(format, "type") ?? "text";
  if (type === "text") return undefined;
  if (type === "json_object") return { type: "json" };
  const schema = objectField(format, "schema");
  if (type !== "json_schema" || schema === undefined) {
    throw refusal("text.format must be text, json_object, or json_schema with a schema");
  }
  return { type: "schema", schema, ...formatDetails(format) };
}
