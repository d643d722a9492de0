import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { append } from "../../core/long-lists.ts";
import { type Fields, refusal, setOnly } from "../fields.ts";
import { inputText, readContent, readPart, readParts } from "./content.ts";

/**
 * The system prompt and the messages of a body. A message of Anthropic's with several tool results becomes
 * several messages, one per result, before what else it holds. Throws `invalid_request` and `unsupported`.
 */
export function readMessages(body: Fields): readonly Message[] {
  const system = readParts(readContent(body, "system"));
  const names = new Map<string, string>();
  const turns = body.objects("messages", "anthropic.MessageParam");
  return [
    ...(system.length === 0 ? [] : [{ role: "system", content: system }]),
    ...turns.flatMap((turn) => readTurn(turn, names)),
  ];
}

/** @param names of the tools called so far, by the id of the call */
function readTurn(turn: Fields, names: Map<string, string>): Message[] {
  const role = turn.text("role");
  switch (role) {
    case "user":
      return readUser(turn, names);
    case "assistant":
      return [readAssistant(turn, names)];
    case "system":
      return [{ role, content: readParts(readContent(turn, "content")) }];
    default:
      throw refusal(`messages: unexpected role ${JSON.stringify(role)}`);
  }
}

function readUser(turn: Fields, names: ReadonlyMap<string, string>): Message[] {
  const content = readContent(turn, "content");
  if (typeof content === "string") return [{ role: "user", content: readParts(content) }];
  const results = content.filter(isResult).map((block) => readResult(block, names));
  const rest = content.filter((block) => !isResult(block)).flatMap(readPart);
  return rest.length === 0 && results.length > 0 ? results : [...results, { role: "user", content: rest }];
}

function isResult(block: Fields): boolean {
  return block.text("type") === "tool_result";
}

function readResult(block: Fields, names: ReadonlyMap<string, string>): Message {
  const toolCallId = block.text("tool_use_id");
  if (toolCallId === "") throw refusal("a tool_result block needs a tool_use_id");
  const content = readParts(readContent(block, "content"));
  // No other dialect can mark a result as an error: the model is told in words.
  const mark: ContentPart[] = block.flag("is_error") === true ? [{ type: "text", text: "Error: " }] : [];
  return setOnly<Message>({
    role: "tool",
    content: [...mark, ...content],
    toolCallId,
    toolName: names.get(toolCallId),
  });
}

function readAssistant(turn: Fields, names: Map<string, string>): Message {
  const content = readContent(turn, "content");
  if (typeof content === "string") return { role: "assistant", content: readParts(content) };
  const said: ContentPart[] = [];
  const thoughts: string[] = [];
  const toolCalls: ToolCall[] = [];
  for (const block of content) {
    switch (block.text("type")) {
      case "thinking":
        thoughts.push(block.text("thinking"));
        break;
      case "redacted_thinking":
        // Sealed by the server that wrote it: nobody else can read it.
        break;
      case "tool_use":
        toolCalls.push(readCall(block, names));
        break;
      default:
        append(said, readPart(block));
    }
  }
  return setOnly<Message>({
    role: "assistant",
    content: said,
    thinking: thoughts.length === 0 ? undefined : thoughts.join("\n"),
    toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
  });
}

function readCall(block: Fields, names: Map<string, string>): ToolCall {
  const id = block.text("id");
  const name = block.text("name");
  if (id === "" || name === "") throw refusal("a tool_use block needs an id and a name");
  names.set(id, name);
  return { id, name, arguments: inputText(block.any("input")) };
}
