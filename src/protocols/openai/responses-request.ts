import type { ChatRequest, Format } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import { telling } from "../dropped.ts";
import { present, refusal } from "../fields.ts";
import { flagField, listField, numberField, objectField, textField } from "./fields.ts";
import { formatDetails, type Read, readThink } from "./request.ts";
import { readChoice } from "./responses-choice.ts";
import { readInput } from "./responses-items.ts";
import { rest } from "./sampling.ts";
import { ToolTable } from "./tool-table.ts";

/** What this server would have to remember or run by itself. */
const STATEFUL = ["previous_response_id", "conversation", "prompt"] as const;

/** Thoughts are always told, and read again: this server seals none. */
const INCLUDED = "reasoning.encrypted_content";

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
  const tools = new ToolTable(body);
  const { messages, dropped } = readInput(body, tools);
  const request: ChatRequest = {
    kind: "chat",
    messages,
    sampling: {
      temperature: numberField(body, "temperature") ?? 1,
      topP: numberField(body, "top_p") ?? 1,
      ...present({ maxTokens: numberField(body, "max_output_tokens") }),
    },
    ...present({
      ...readChoice(body, tools),
      parallelToolCalls: flagField(body, "parallel_tool_calls"),
      format: readFormat(objectField(objectField(body, "text") ?? {}, "format") ?? {}),
      think: readThink(body),
      unread: readUnread(body, [...dropped, ...tools.dropped]),
    }),
  };
  // Nothing is passed through here: what has no neutral form has been refused.
  return { request, obstacle: undefined };
}

function readUnread(body: JsonObject, dropped: readonly string[]): readonly string[] | undefined {
  const isSealed = (listField(body, "include") ?? []).every((name) => name === INCLUDED);
  const told = telling(rest(body, KNOWN)).filter((name) => name !== "include" || !isSealed);
  const names = [...told, ...dropped];
  if (textField(objectField(body, "text") ?? {}, "verbosity") !== undefined) names.push("text.verbosity");
  return names.length === 0 ? undefined : names;
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
