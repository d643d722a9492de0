import type { ContentPart } from "../../core/chat.ts";
import { isObject, type Json } from "../../core/json.ts";
import type { Fields } from "../fields.ts";
import { textParts } from "./content.ts";

/**
 * Turns the work of Anthropic's own servers in an earlier turn into text: calls of their tools, and results as far
 * as it is not sealed.
 */

/** True for the calls of tools that a server ran, and for their results. */
export function isServerWork(type: string): boolean {
  return /^(?:server_tool_use|mcp_tool_use|[a-z_]+_tool_result)$/.test(type);
}

/** The text of such a block. */
export function tellServerWork(block: Fields): ContentPart[] {
  const type = block.text("type");
  if (type.endsWith("_tool_use")) {
    const input = JSON.stringify(block.any("input") ?? {});
    return textParts(`[The tool ${block.text("name")} was called with ${input}.]\n`);
  }
  const texts = textsIn(block.any("content") ?? null, MOST_DEPTH);
  const found = texts.length === 0 ? "" : `:\n${texts.join("\n")}`;
  return textParts(`[The result of ${type.replace(/_tool_result$/, "")}${found}]\n`);
}

/** Members that hold words for people, in the order in which they are told. */
const TELLING = ["title", "url", "text", "data", "stdout", "stderr", "error_code", "tool_name"] as const;
const HOLDING = ["content", "source", "tool_references"] as const;

/** Results are lists of objects with a source each: deeper ones are none of this API's. */
const MOST_DEPTH = 6;

function textsIn(value: Json, depth: number): string[] {
  if (typeof value === "string") return value === "" ? [] : [value];
  if (depth === 0) return [];
  if (Array.isArray(value)) return value.flatMap((item) => textsIn(item, depth - 1));
  if (!isObject(value)) return [];
  // Base64 is no text.
  if (value["type"] === "base64") return [];
  const told = TELLING.flatMap((name) => {
    const text = value[name];
    return typeof text === "string" && text !== "" ? [text] : [];
  });
  return [...told, ...HOLDING.flatMap((name) => textsIn(value[name] ?? null, depth - 1))];
}
