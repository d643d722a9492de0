import type { Json } from "../../core/json.ts";
import { isObject, type JsonObject } from "../../core/json.ts";
import { Fields } from "../fields.ts";
import { readContent } from "./content.ts";

/** The changes of the tools within a conversation, in the order of its messages. */
export interface ToolChanges {
  /** Names of tools that were found, or added, and not removed since. */
  readonly found: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
  /** Tools defined within the conversation. */
  readonly defined: readonly Fields[];
}

const CHANGES: ReadonlySet<string> = new Set(["tool_addition", "tool_removal"]);

/** True for a block that says only which tools there are from there on. */
export function isToolChange(block: Fields): boolean {
  return CHANGES.has(block.text("type"));
}

/** Reads the changes out of the messages of a body. Throws `invalid_request`. */
export function readToolChanges(body: Fields): ToolChanges {
  const found = new Set<string>();
  const removed = new Set<string>();
  const defined = new Map<string, Fields>();
  for (const block of body
    .objects("messages", "anthropic.MessageParam")
    .flatMap(blocksOf)
    .flatMap(withKept)) {
    for (const name of referencesIn(block)) found.add(name);
    if (!isToolChange(block)) continue;
    const tool = block.inner("tool", "anthropic.ToolChange");
    const definition = tool.object("definition", "anthropic.Tool");
    const name = definition === undefined ? tool.text("name") : nameOf(definition);
    const [to, from] = block.text("type") === "tool_addition" ? [found, removed] : [removed, found];
    to.add(name);
    from.delete(name);
    if (definition !== undefined) defined.set(name, new Fields(definition, "MessagesRequest.tools"));
  }
  return { found, removed, defined: [...defined.values()] };
}

function blocksOf(turn: Fields): readonly Fields[] {
  const content = readContent(turn, "content");
  return typeof content === "string" ? [] : content;
}

/** A compaction keeps the changes of the tools in what it stands for. */
function withKept(block: Fields): readonly Fields[] {
  return block.text("type") === "compaction"
    ? [block, ...block.objects("tool_changes", "anthropic.ToolChange")]
    : [block];
}

/** The tools that a search named, whether the client ran it or a server. */
function referencesIn(block: Fields): string[] {
  const type = block.text("type");
  if (type !== "tool_result" && type !== "tool_search_tool_result") return [];
  const content = block.any("content");
  const list = isObject(content) ? content["tool_references"] : content;
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: Json) => {
    const name = isObject(item) && item["type"] === "tool_reference" ? item["tool_name"] : undefined;
    return typeof name === "string" ? [name] : [];
  });
}

function nameOf(definition: JsonObject): string {
  const { name } = definition;
  return typeof name === "string" ? name : "";
}
