import type { Tool } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { listField, objectField, textField } from "./fields.ts";

/** The tools that a choice of type `allowed_tools` leaves, and how they are to be chosen among. */
export interface Allowed {
  readonly names: ReadonlySet<string>;
  readonly mode: Json | undefined;
}

/** What a `tool_choice` allows; undefined for another choice. Throws `invalid_request`. */
export function readAllowed(choice: Json | undefined): Allowed | undefined {
  if (!isObject(choice) || choice["type"] !== "allowed_tools") return undefined;
  // Chat completions have the list in an object of its own, responses beside the type.
  const holder = objectField(choice, "allowed_tools") ?? choice;
  const names = (listField(holder, "tools") ?? []).filter(isObject).flatMap(nameOf);
  return { names: new Set(names), mode: holder["mode"] ?? undefined };
}

function nameOf(tool: JsonObject): string[] {
  const name = textField(objectField(tool, "function") ?? tool, "name");
  return name === undefined ? [] : [name];
}

/** The tools in force; undefined for none. */
export function allowedOf(
  tools: readonly Tool[] | undefined,
  allowed: Allowed | undefined,
): readonly Tool[] | undefined {
  if (tools === undefined || allowed === undefined) return tools;
  const left = tools.filter(({ name }) => allowed.names.has(name));
  return left.length === 0 ? undefined : left;
}
