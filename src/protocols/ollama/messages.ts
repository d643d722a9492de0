import type { ContentPart, Message, Tool, ToolCall } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import { type BodyFields, withoutUndefined } from "../fields.ts";
import { readBase64Image } from "./images.ts";

/** `messages` of a chat request. Throws `invalid_request`. */
export function readOllamaMessages(fields: BodyFields): Message[] {
  const calls = new OpenCalls();
  return fields.objects("messages", "api.Message").map((message) => readMessage(message, calls));
}

function readMessage(fields: BodyFields, calls: OpenCalls): Message {
  const toolCalls = fields.objects("tool_calls", "api.ToolCall").map((call) => readCall(call, calls));
  const role = fields.text("role").toLowerCase();
  const toolName = fields.text("tool_name") || undefined;
  const toolCallId = fields.text("tool_call_id") || undefined;
  return withoutUndefined<Message>({
    role,
    content: readContent(fields),
    thinking: fields.text("thinking") || undefined,
    toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
    toolCallId: role === "tool" ? calls.answer(toolCallId, toolName) : toolCallId,
    toolName,
  });
}

function readContent(fields: BodyFields): ContentPart[] {
  const text = fields.text("content");
  const images = fields.texts("images").map(readBase64Image);
  return text === "" ? images : [{ type: "text", text }, ...images];
}

function readCall(fields: BodyFields, calls: OpenCalls): ToolCall {
  const called = fields.inner("function", "api.ToolCallFunction");
  const name = called.text("name");
  const values: JsonObject = called.object("arguments", "api.ToolCallFunctionArguments") ?? {};
  return { id: calls.open(fields.text("id"), name), name, arguments: JSON.stringify(values) };
}

/**
 * The tool calls without a result. Ollama's clients may omit ids and match a result by the tool's name or by order.
 * Other dialects need an id on both sides.
 */
class OpenCalls {
  readonly #open: { readonly id: string; readonly name: string }[] = [];
  #count = 0;

  /** Adds a call and returns its id. */
  open(given: string, name: string): string {
    this.#count += 1;
    const id = given || `call_${this.#count}`;
    this.#open.push({ id, name });
    return id;
  }

  /** Returns the id of the call that a result answers; undefined for none. */
  answer(given: string | undefined, name: string | undefined): string | undefined {
    const found = this.#open.findIndex((call) => {
      return given === undefined ? name === undefined || call.name === name : call.id === given;
    });
    const [call] = found < 0 ? [] : this.#open.splice(found, 1);
    return given ?? call?.id;
  }
}

/** `tools` of a chat request; undefined when there are none. Throws `invalid_request`. */
export function readOllamaTools(fields: BodyFields): Tool[] | undefined {
  const tools = fields.objects("tools", "api.Tool").map(readTool);
  return tools.length === 0 ? undefined : tools;
}

function readTool(fields: BodyFields): Tool {
  const tool = fields.inner("function", "api.ToolFunction");
  return withoutUndefined<Tool>({
    name: tool.text("name"),
    description: tool.text("description") || undefined,
    parameters: tool.object("parameters", "api.ToolFunctionParameters"),
    strict: tool.flag("strict"),
  });
}
