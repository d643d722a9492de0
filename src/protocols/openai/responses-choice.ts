import type { ChatRequest, ToolChoice } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { definedFields, invalidRequest, listField, textField } from "../fields.ts";
import type { OfferedTool, ToolTable } from "./tool-table.ts";

/** Most tools that a fault names. Clients make up the names. */
const MOST_NAMED = 3;

/**
 * The tools for the model, and the choice among them. Throws `unsupported` when the choice requires a tool that no
 * model can be offered.
 */
export function readToolSelection(
  body: JsonObject,
  table: ToolTable,
): Pick<ChatRequest, "tools" | "toolChoice"> {
  const choice = body["tool_choice"] ?? undefined;
  const tools = allowedTools(choice, table).map(({ tool }) => tool);
  const toolChoice = readToolChoice(choice, table);
  if (toolChoice === "required" && tools.length === 0 && table.dropped.length > 0) {
    throw new Fault(
      "unsupported",
      `a tool must be called, and ${table.dropped.slice(0, MOST_NAMED).join(", ")} cannot be offered`,
    );
  }
  return definedFields({ tools: tools.length === 0 ? undefined : tools, toolChoice });
}

/** The offered tools, or those of them that the client allows. */
export function allowedTools(choice: Json | undefined, table: ToolTable): readonly OfferedTool[] {
  if (!isObject(choice) || choice["type"] !== "allowed_tools") return table.offered;
  const allowed = (listField(choice, "tools") ?? []).filter(isObject);
  const names = new Set(allowed.map((tool) => table.nameOf(tool)));
  const spaces = new Set(
    allowed.map((tool) => (tool["type"] === "namespace" ? textField(tool, "name") : undefined)),
  );
  return table.offered.filter(({ tool, namespace }) => {
    return names.has(tool.name) || (namespace !== undefined && spaces.has(namespace));
  });
}

function readToolChoice(choice: Json | undefined, table: ToolTable): ToolChoice | undefined {
  if (choice === undefined || choice === "auto" || choice === "none" || choice === "required") return choice;
  if (!isObject(choice)) throw invalidRequest(`Invalid tool_choice: ${JSON.stringify(choice)}`);
  if (choice["type"] === "allowed_tools") return readToolChoice(choice["mode"] ?? undefined, table);
  const named = table.nameOf(choice);
  if (named !== undefined) return { name: named };
  const name = textField(choice, "name") ?? "";
  if (choice["type"] === "function" && name !== "") return { name };
  throw new Fault("unsupported", `tool_choice of type ${JSON.stringify(choice["type"])} is not supported`);
}
