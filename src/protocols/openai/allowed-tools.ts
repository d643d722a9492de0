import type { Tool } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { listField, objectField, textField } from "../fields.ts";

/** The tools that a choice of type `allowed_tools` leaves, with the mode of choice. */
interface Allowed {
  readonly names: ReadonlySet<string>;
  readonly mode: Json | undefined;
}

/** Reads the allowed tools of a `tool_choice`; undefined for another choice. Throws `invalid_request`. */
export function readAllowed(choice: Json | undefined): Allowed | undefined {
  if (!isObject(choice) || choice["type"] !== "allowed_tools") return undefined;
  // Chat completions nest the list in an object; responses have it beside the type.
  const holder = objectField(choice, "allowed_tools") ?? choice;
  const names = (listField(holder, "tools") ?? []).filter(isObject).flatMap(nameOf);
  return { names: new Set(names), mode: holder["mode"] ?? undefined };
}

function nameOf(tool: JsonObject): string[] {
  const name = textField(objectField(tool, "function") ?? tool, "name");
  return name === undefined ? [] : [name];
}

/** The tools that remain; undefined for none. */
export function allowedOf(
  tools: readonly Tool[] | undefined,
  allowed: Allowed | undefined,
): readonly Tool[] | undefined {
  if (tools === undefined || allowed === undefined) return tools;
  const left = tools.filter(({ name }) => allowed.names.has(name));
  return left.length === 0 ? undefined : left;
}
