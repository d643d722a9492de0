import type { ChatRequest, Tool, ToolChoice } from "../../core/chat.ts";
import { type BodyFields, invalidRequest, withoutUndefined } from "../fields.ts";
import { unsupportedFeature } from "./content.ts";
import { knownTool } from "./known-tools.ts";
import { readToolChanges, type ToolChanges } from "./tool-changes.ts";

type ToolFields = Pick<ChatRequest, "tools" | "toolChoice" | "parallelToolCalls">;

/** The tools of a body, and the types of tools that no model is offered: `tools.web_search_20250305`. */
interface ReadTools {
  readonly fields: ToolFields;
  readonly dropped: readonly string[];
}

/**
 * Reads the tools of a body. Tools that run on Anthropic's servers are left out. Throws `unsupported` when the choice
 * requires one of them.
 */
export function readAnthropicTools(body: BodyFields): ReadTools {
  const changes = readToolChanges(body);
  const listed = [...body.objects("tools", "anthropic.Tool"), ...changes.defined];
  const [kept, dropped] = [listed.filter(isOffered), listed.filter((tool) => !isOffered(tool))];
  const all = nothingSearches(kept, dropped);
  const tools = (all ? kept : loadedOf(kept, changes)).map(readTool);
  const choice = body.inner("tool_choice", "anthropic.ToolChoice");
  const toolChoice = readChoice(choice);
  rejectDroppedChoice(toolChoice, tools, dropped);
  return {
    fields: withoutUndefined<ToolFields>({
      tools: tools.length === 0 ? undefined : tools,
      toolChoice,
      parallelToolCalls: choice.flag("disable_parallel_tool_use") === true ? false : undefined,
    }),
    dropped: [...dropped.map((tool) => `tools.${tool.text("type")}`), ...kept.flatMap(droppedMembers)],
  };
}

/** Members of an offered tool that matter and have no neutral form. */
function droppedMembers(tool: BodyFields): string[] {
  const callers = tool.list("allowed_callers", "[]string");
  return [
    ...(tool.list("input_examples", "[]object").length === 0 ? [] : ["tools.input_examples"]),
    ...(callers.length === 0 || callers.includes("direct") ? [] : ["tools.allowed_callers"]),
  ];
}

/** True for a tool with a schema, from the client or known by its type. Other typed tools run on a server. */
function isOffered(tool: BodyFields): boolean {
  const type = tool.text("type");
  const plain = type === "" || type === "custom" || tool.any("input_schema") !== undefined;
  return plain || knownTool(tool) !== undefined;
}

/** True when all tools are offered: only a server would search among them, or none is there to search. */
function nothingSearches(kept: readonly BodyFields[], dropped: readonly BodyFields[]): boolean {
  const serverSearch = dropped.some((tool) => tool.text("type").startsWith("tool_search_tool"));
  return serverSearch || kept.every((tool) => tool.flag("defer_loading") === true);
}

/**
 * The tools in their order. Tools that a search found or the conversation added come last. In their own places they
 * would change the beginning of the prompt.
 */
function loadedOf(
  kept: readonly BodyFields[],
  { found, removed, defined }: ToolChanges,
): readonly BodyFields[] {
  const left = kept.filter((tool) => !removed.has(tool.text("name")));
  const added = new Set(defined);
  const comesLater = (tool: BodyFields): boolean => tool.flag("defer_loading") === true || added.has(tool);
  const later = new Map(left.filter(comesLater).map((tool) => [tool.text("name"), tool]));
  const loaded = [...found].flatMap((name) => later.get(name) ?? []);
  return [...left.filter((tool) => !comesLater(tool)), ...loaded];
}

function readTool(tool: BodyFields): Tool {
  const name = tool.text("name");
  if (name === "") throw invalidRequest("a tool needs a name");
  return withoutUndefined<Tool>({
    name,
    ...knownTool(tool),
    ...withoutUndefined<Omit<Tool, "name">>({
      description: tool.text("description") || undefined,
      parameters: tool.object("input_schema", "anthropic.InputSchema"),
      strict: tool.flag("strict"),
    }),
  });
}

function rejectDroppedChoice(
  choice: ToolChoice | undefined,
  tools: readonly Tool[],
  dropped: readonly BodyFields[],
): void {
  const chosen = typeof choice === "object" ? choice.name : undefined;
  const missed =
    choice === "required" && tools.length === 0
      ? dropped[0]
      : dropped.find((tool) => chosen !== undefined && tool.text("name") === chosen);
  if (missed !== undefined) throw unsupportedFeature(`a tool of type ${JSON.stringify(missed.text("type"))}`);
}

function readChoice(choice: BodyFields): ToolChoice | undefined {
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
      if (choice.text("name") === "") throw invalidRequest("tool_choice needs the name of a tool");
      return { name: choice.text("name") };
    default:
      throw invalidRequest(`tool_choice: unexpected type ${JSON.stringify(type)}`);
  }
}
