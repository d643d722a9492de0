import type { ChatRequest, Tool, ToolChoice } from "../../core/chat.ts";
import { type Fields, refusal, setOnly } from "../fields.ts";
import { unsupported } from "./content.ts";

type ToolFields = Pick<ChatRequest, "tools" | "toolChoice" | "parallelToolCalls">;

/** What a body says of tools. Throws `unsupported` for tools that Anthropic's own servers run or know. */
export function readTools(body: Fields): ToolFields {
  const tools = body.objects("tools", "anthropic.Tool").map(readTool);
  const choice = body.inner("tool_choice", "anthropic.ToolChoice");
  return setOnly<ToolFields>({
    tools: tools.length === 0 ? undefined : tools,
    toolChoice: readChoice(choice),
    parallelToolCalls: choice.flag("disable_parallel_tool_use") === true ? false : undefined,
  });
}

function readTool(tool: Fields): Tool {
  const type = tool.text("type");
  if (type !== "" && type !== "custom") throw unsupported(`a tool of type ${JSON.stringify(type)}`);
  const name = tool.text("name");
  if (name === "") throw refusal("a tool needs a name");
  return setOnly<Tool>({
    name,
    description: tool.text("description") || undefined,
    parameters: tool.object("input_schema", "anthropic.InputSchema"),
    strict: tool.flag("strict"),
  });
}

function readChoice(choice: Fields): ToolChoice | undefined {
  const type = choice.text("type");
  switch (type) {
    case "":
      return undefined;
    case "auto":
    case "none":
      return type;
    case "any":
      return "required";
    case "tool":
      if (choice.text("name") === "") throw refusal("tool_choice needs the name of a tool");
      return { name: choice.text("name") };
    default:
      throw refusal(`tool_choice: unexpected type ${JSON.stringify(type)}`);
  }
}
