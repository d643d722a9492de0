import type { ChatRequest, Format } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import { meaningfulFields } from "../dropped-fields.ts";
import {
  definedFields,
  flagField,
  invalidRequest,
  listField,
  numberField,
  objectField,
  textField,
} from "../fields.ts";
import { formatDetails, type Translation, readThink } from "./chat-request.ts";
import { readToolSelection } from "./responses-choice.ts";
import { readInput } from "./responses-items.ts";
import { unknownFields } from "./sampling.ts";
import { ToolTable } from "./tool-table.ts";

/** Fields that need stored state. */
const STATEFUL = ["previous_response_id", "conversation", "prompt"] as const;

/** Thoughts are always included and accepted, because this server encrypts none. */
const INCLUDED = "reasoning.encrypted_content";

const KNOWN = new Set(
  (
    "model input instructions stream tools tool_choice parallel_tool_calls text reasoning temperature top_p " +
    "max_output_tokens previous_response_id conversation prompt background"
  ).split(" "),
);

/**
 * Reads the body of POST /v1/responses into neutral form. Only the names of unknown fields are kept, except fields
 * about the service (store, metadata). Throws `invalid_request`, or `unsupported` for features that need stored
 * responses or server-side tools.
 */
export function readResponses(body: JsonObject): Translation<ChatRequest> {
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
      ...definedFields({ maxTokens: numberField(body, "max_output_tokens") }),
    },
    ...definedFields({
      ...readToolSelection(body, tools),
      parallelToolCalls: flagField(body, "parallel_tool_calls"),
      format: readFormat(objectField(objectField(body, "text") ?? {}, "format") ?? {}),
      think: readThink(body),
      unread: readUnread(body, [...dropped, ...tools.dropped]),
    }),
  };
  // This endpoint has no passthrough, so content without a neutral form has been rejected.
  return { request, obstacle: undefined };
}

function readUnread(body: JsonObject, dropped: readonly string[]): readonly string[] | undefined {
  const isSealed = (listField(body, "include") ?? []).every((name) => name === INCLUDED);
  const affecting = meaningfulFields(unknownFields(body, KNOWN)).filter(
    (name) => name !== "include" || !isSealed,
  );
  const names = [...affecting, ...dropped];
  if (textField(objectField(body, "text") ?? {}, "verbosity") !== undefined) names.push("text.verbosity");
  return names.length === 0 ? undefined : names;
}

function readFormat(format: JsonObject): Format | undefined {
  const type = textField(format, "type") ?? "text";
  if (type === "text") return undefined;
  if (type === "json_object") return { type: "json" };
  const schema = objectField(format, "schema");
  if (type !== "json_schema" || schema === undefined) {
    throw invalidRequest("text.format must be text, json_object, or json_schema with a schema");
  }
  return { type: "schema", schema, ...formatDetails(format) };
}
