import type { ContentPart, Message, Tool, ToolCall } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import { type Fields, setOnly } from "../fields.ts";
import { readImage } from "./images.ts";

/** `messages` of a chat request. Throws `invalid_request`. */
export function readMessages(fields: Fields): Message[] {
  const calls = new OpenCalls();
  return fields.objects("messages", "api.Message").map((message) => readMessage(message, calls));
}

function readMessage(fields: Fields, calls: OpenCalls): Message {
  const toolCalls = fields.objects("tool_calls", "api.ToolCall").map((call) => readCall(call, calls));
  const role = fields.text("role").toLowerCase();
  const toolName = fields.text("tool_name") || undefined;
  const toolCallId = fields.text("tool_call_id") || undefined;
  return setOnly<Message>({
    role,
    content: readContent(fields),
    thinking: fields.text("thinking") || undefined,
    toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
    toolCallId: role === "tool" ? calls.answer(toolCallId, toolName) : toolCallId,
    toolName,
  });
}

function readContent(fields: Fields): ContentPart[] {
  const text = fields.text("content");
  const images = fields.texts("images").map(readImage);
  return text === "" ? images : [{ type: "text", text }, ...images];
}

function readCall(fields: Fields, calls: OpenCalls): ToolCall {
  const called = fields.inner("function", "api.ToolCallFunction");
  const name = called.text("name");
  const values: JsonObject = called.object("arguments", "api.ToolCallFunctionArguments") ?? {};
  return { id: calls.open(fields.text("id"), name), name, arguments: JSON.stringify(values) };
}

/**
 * The tool calls of a conversation that have no result yet. Ollama's clients may leave out ids and match a
 * result by the tool's name or only by order; other dialects need an id on both sides.
 */
class OpenCalls {
  readonly #open: { readonly id: string; readonly name: string }[] = [];
  #count = 0;

  /** The id under which the call is known from here on. */
  open(given: string, name: string): string {
    this.#count += 1;
    const id = given || `call_${this.#count}`;
    this.#open.push({ id, name });
    return id;
  }

  /** The id of the call that a result answers; undefined when there is none. */
  answer(given: string | undefined, name: string | undefined): string | undefined {
    const found = this.#open.findIndex((call) => {
      return given === undefined ? name === undefined || call.name === name : call.id === given;
    });
    const [call] = found < 0 ? [] : this.#open.splice(found, 1);
    return given ?? call?.id;
  }
}

/** `tools` of a chat request; undefined when there are none. Throws `invalid_request`. */
export function readTools(fields: Fields): Tool[] | undefined {
  const tools = fields.objects("tools", "api.Tool").map(readTool);
  return tools.length === 0 ? undefined : tools;
}

function readTool(fields: Fields): Tool {
  const tool = fields.inner("function", "api.ToolFunction");
  return setOnly<Tool>({
    name: tool.text("name"),
    description: tool.text("description") || undefined,
    parameters: tool.object("parameters", "api.ToolFunctionParameters"),
    strict: tool.flag("strict"),
  });
}
