import type { ChatRequest, Tool, ToolChoice } from "../../core/chat.ts";
import { type Fields, refusal, setOnly } from "../fields.ts";
import { unsupported } from "./content.ts";
import { knownTool } from "./known-tools.ts";
import { readToolChanges, type ToolChanges } from "./tool-changes.ts";

type ToolFields = Pick<ChatRequest, "tools" | "toolChoice" | "parallelToolCalls">;

/** The tools of a body, and which of them no model is offered: `tools.web_search_20250305`. */
export interface ReadTools {
  readonly fields: ToolFields;
  readonly dropped: readonly string[];
}

/**
 * The tools of a body. Tools that Anthropic's own servers would run are left out. Throws `unsupported` when the choice
 * falls on one of them.
 */
export function readTools(body: Fields): ReadTools {
  const changes = readToolChanges(body);
  const listed = [...body.objects("tools", "anthropic.Tool"), ...changes.defined];
  const [kept, lost] = [listed.filter(isOffered), listed.filter((tool) => !isOffered(tool))];
  const all = nothingSearches(kept, lost);
  const tools = (all ? kept : loadedOf(kept, changes)).map(readTool);
  const choice = body.inner("tool_choice", "anthropic.ToolChoice");
  const toolChoice = readChoice(choice);
  refuseLost(toolChoice, tools, lost);
  return {
    fields: setOnly<ToolFields>({
      tools: tools.length === 0 ? undefined : tools,
      toolChoice,
      parallelToolCalls: choice.flag("disable_parallel_tool_use") === true ? false : undefined,
    }),
    dropped: [...lost.map((tool) => `tools.${tool.text("type")}`), ...kept.flatMap(lostOf)],
  };
}

/** The members of an offered tool that say something and have no form elsewhere. */
function lostOf(tool: Fields): string[] {
  const callers = tool.list("allowed_callers", "[]string");
  return [
    ...(tool.list("input_examples", "[]object").length === 0 ? [] : ["tools.input_examples"]),
    ...(callers.length === 0 || callers.includes("direct") ? [] : ["tools.allowed_callers"]),
  ];
}

/** Tools of a type of their own are run by a server, unless the client has a schema for them, or all models know it. */
function isOffered(tool: Fields): boolean {
  const type = tool.text("type");
  const plain = type === "" || type === "custom" || tool.any("input_schema") !== undefined;
  return plain || knownTool(tool) !== undefined;
}

/** Where only a server would search among the tools of the request, or no tool is there to search, all are offered. */
function nothingSearches(kept: readonly Fields[], lost: readonly Fields[]): boolean {
  const serverSearch = lost.some((tool) => tool.text("type").startsWith("tool_search_tool"));
  return serverSearch || kept.every((tool) => tool.flag("defer_loading") === true);
}

/**
 * The tools that are shown: those that the client's own search is to find, and those that the conversation adds, stand
 * behind all others, in the order in which they came. In their own places they would change the beginning of the prompt.
 */
function loadedOf(kept: readonly Fields[], { found, removed, defined }: ToolChanges): readonly Fields[] {
  const left = kept.filter((tool) => !removed.has(tool.text("name")));
  const added = new Set(defined);
  const comesLater = (tool: Fields): boolean => tool.flag("defer_loading") === true || added.has(tool);
  const later = new Map(left.filter(comesLater).map((tool) => [tool.text("name"), tool]));
  const loaded = [...found].flatMap((name) => later.get(name) ?? []);
  return [...left.filter((tool) => !comesLater(tool)), ...loaded];
}

function readTool(tool: Fields): Tool {
  const name = tool.text("name");
  if (name === "") throw refusal("a tool needs a name");
  return setOnly<Tool>({
    name,
    ...knownTool(tool),
    ...setOnly<Omit<Tool, "name">>({
      description: tool.text("description") || undefined,
      parameters: tool.object("input_schema", "anthropic.InputSchema"),
      strict: tool.flag("strict"),
    }),
  });
}

function refuseLost(choice: ToolChoice | undefined, tools: readonly Tool[], lost: readonly Fields[]): void {
  const chosen = typeof choice === "object" ? choice.name : undefined;
  const missed =
    choice === "required" && tools.length === 0
      ? lost[0]
      : lost.find((tool) => chosen !== undefined && tool.text("name") === chosen);
  if (missed !== undefined) throw unsupported(`a tool of type ${JSON.stringify(missed.text("type"))}`);
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
