import type { ContentPart } from "../../core/chat.ts";
import { isObject, type Json } from "../../core/json.ts";
import type { BodyFields } from "../fields.ts";
import { textParts } from "./content.ts";

/** Converts blocks of Anthropic's own tools in earlier turns into text: calls, and results that are not encrypted. */

/** True for calls of server-side tools and for their results. */
export function isServerToolBlock(type: string): boolean {
  return /^(?:server_tool_use|mcp_tool_use|[a-z_]+_tool_result)$/.test(type);
}

/** The text of such a block. */
export function serverToolText(block: BodyFields): ContentPart[] {
  const type = block.text("type");
  if (type.endsWith("_tool_use")) {
    const input = JSON.stringify(block.any("input") ?? {});
    return textParts(`[The tool ${block.text("name")} was called with ${input}.]\n`);
  }
  const texts = textsIn(block.any("content") ?? null, MOST_DEPTH);
  const found = texts.length === 0 ? "" : `:\n${texts.join("\n")}`;
  return textParts(`[The result of ${type.replace(/_tool_result$/, "")}${found}]\n`);
}

/** Members with text, in the order in which they are written. */
const TEXT_MEMBERS = ["title", "url", "text", "data", "stdout", "stderr", "error_code", "tool_name"] as const;
const NESTED_MEMBERS = ["content", "source", "tool_references"] as const;

/** Deepest nesting of results. Anthropic's results are lists of objects with a source each. */
const MOST_DEPTH = 6;

function textsIn(value: Json, depth: number): string[] {
  if (typeof value === "string") return value === "" ? [] : [value];
  if (depth === 0) return [];
  if (Array.isArray(value)) return value.flatMap((item) => textsIn(item, depth - 1));
  if (!isObject(value)) return [];
  // Base64 is no readable text.
  if (value["type"] === "base64") return [];
  const texts = TEXT_MEMBERS.flatMap((name) => {
    const text = value[name];
    return typeof text === "string" && text !== "" ? [text] : [];
  });
  return [...texts, ...NESTED_MEMBERS.flatMap((name) => textsIn(value[name] ?? null, depth - 1))];
}
