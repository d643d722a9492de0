import type { Json } from "../../core/json.ts";
import { isObject, type JsonObject } from "../../core/json.ts";
import { BodyFields } from "../fields.ts";
import { readBlockContent } from "./content.ts";

/** Changes of the tools within a conversation, in the order of its messages. */
export interface ToolChanges {
  /** Names of tools that were found or added, and not removed later. */
  readonly found: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
  /** Tools defined within the conversation. */
  readonly defined: readonly BodyFields[];
}

const CHANGES: ReadonlySet<string> = new Set(["tool_addition", "tool_removal"]);

/** True for a block that only changes the set of tools. */
export function isToolChange(block: BodyFields): boolean {
  return CHANGES.has(block.text("type"));
}

/** Reads the changes from the messages of a body. Throws `invalid_request`. */
export function readToolChanges(body: BodyFields): ToolChanges {
  const found = new Set<string>();
  const removed = new Set<string>();
  const defined = new Map<string, BodyFields>();
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
    if (definition !== undefined) defined.set(name, new BodyFields(definition, "MessagesRequest.tools"));
  }
  return { found, removed, defined: [...defined.values()] };
}

function blocksOf(turn: BodyFields): readonly BodyFields[] {
  const content = readBlockContent(turn, "content");
  return typeof content === "string" ? [] : content;
}

/** A compaction carries the tool changes of the messages that it replaces. */
function withKept(block: BodyFields): readonly BodyFields[] {
  return block.text("type") === "compaction"
    ? [block, ...block.objects("tool_changes", "anthropic.ToolChange")]
    : [block];
}

/** The tools that a search named, on the client or on a server. */
function referencesIn(block: BodyFields): string[] {
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
