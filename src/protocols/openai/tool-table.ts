import type { Tool } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { definedFields, invalidRequest, listField, mismatch, textField } from "../fields.ts";
import { FlatNames, joinNames } from "./flat-names.ts";
import { FUNCTION_FORM, isNamed, SEARCH_FORM, TOOL_FORMS, type ToolForm } from "./tool-forms.ts";

/** A tool of the client, as a model is offered it. */
export interface OfferedTool {
  readonly tool: Tool;
  readonly form: ToolForm;
  readonly name: string;
  readonly namespace?: string;
  /** As the client wrote it. */
  readonly item: JsonObject;
}

/** Identifies a tool by kind, name and namespace. */
interface ToolAddress {
  readonly form: ToolForm;
  readonly name: string;
  readonly namespace?: string | undefined;
}

/**
 * The tools of a body of POST /v1/responses, from `tools` and then from its items. Each has one flat name for
 * models. The body alone determines the table, so request reader and reply writer build the same one.
 */
export class ToolTable {
  readonly #names = new FlatNames();
  readonly #flat = new Map<string, string>();
  readonly #offered = new Map<string, OfferedTool>();
  readonly #dropped = new Set<string>();
  readonly #described = new Set<string>();
  /** Flat names by the name within a namespace; "" for an ambiguous name. */
  readonly #inner = new Map<string, string>();

  /** Throws `invalid_request` for malformed tools. */
  constructor(body: JsonObject) {
    const tools = listField(body, "tools") ?? [];
    const searches = tools.some(isClientSearch);
    for (const item of tools) {
      if (isObject(item) && item["type"] === "function") this.#reserve(textField(item, "name") ?? "");
    }
    for (const item of tools) this.#add(item, undefined, searches);
    for (const item of addedTools(body["input"])) this.#add(item, undefined, false);
  }

  /** The offered tools in the client's order. */
  get offered(): readonly OfferedTool[] {
    return [...this.#offered.values()];
  }

  /** Names of tools that no model is offered: `tools.web_search`. */
  get dropped(): readonly string[] {
    return [...this.#dropped];
  }

  /** The tool with this flat name; undefined for an invented name. */
  find(flat: string): OfferedTool | undefined {
    return this.#offered.get(flat);
  }

  /** The flat name of a tool. It stays valid for this request after the tool was removed. */
  flatName({ form, name, namespace }: ToolAddress): string {
    const key = keyOf({ form, name, namespace });
    const known = this.#flat.get(key) ?? this.#resolve({ form, name, namespace });
    if (known !== undefined) return known;
    const flat = this.#names.give(joinNames(namespace, name));
    this.#flat.set(key, flat);
    return flat;
  }

  /** The flat name for an entry of `tool_choice`; undefined for a tool that is not offered. */
  nameOf(choice: JsonObject): string | undefined {
    const type = textField(choice, "type") ?? "";
    const form = TOOL_FORMS.find((one) => one.type === type);
    if (form === undefined) return undefined;
    const name = isNamed(form) ? (textField(choice, "name") ?? "") : type;
    const address = { form, name, namespace: textField(choice, "namespace") };
    const flat = this.#flat.get(keyOf(address)) ?? this.#resolve(address);
    return flat !== undefined && this.#offered.has(flat) ? flat : undefined;
  }

  /** Clients without namespaces send a flat name back, or the inner name alone. */
  #resolve({ form, name, namespace }: ToolAddress): string | undefined {
    if (namespace !== undefined) return undefined;
    if (this.#offered.get(name)?.form === form) return name;
    return this.#inner.get(keyOf({ form, name })) || undefined;
  }

  /** Reserves the name of a plain function before namespaces get theirs. */
  #reserve(name: string): void {
    const key = keyOf({ form: FUNCTION_FORM, name });
    if (name !== "" && this.#names.take(name)) this.#flat.set(key, name);
  }

  /** @param hidden true leaves out tools that the client's own search has to find first */
  #add(item: Json, namespace: JsonObject | undefined, hidden: boolean): void {
    if (!isObject(item)) throw mismatch("tools", item, "openai.Tool");
    const type = textField(item, "type") ?? "function";
    if (type === "namespace" && namespace === undefined) {
      for (const inner of listField(item, "tools") ?? []) this.#add(inner, item, hidden);
      return;
    }
    const form = TOOL_FORMS.find((one) => one.type === type);
    const shown = form?.offer(item);
    if (form === undefined || shown === undefined) this.#dropped.add(`tools.${droppedType(type)}`);
    else if (!hidden || item["defer_loading"] !== true) this.#offer(item, { form, shown }, namespace);
  }

  #offer(
    item: JsonObject,
    { form, shown }: { readonly form: ToolForm; readonly shown: Omit<Tool, "name"> },
    holder: JsonObject | undefined,
  ): void {
    const name = isNamed(form) ? (textField(item, "name") ?? "") : form.type;
    if (name === "") throw invalidRequest("a tool needs a name");
    const namespace = holder === undefined ? undefined : textField(holder, "name");
    const key = keyOf({ form, name, namespace });
    const flat = this.#flat.get(key) ?? this.#names.give(joinNames(namespace, name));
    this.#flat.set(key, flat);
    if (this.#offered.has(flat)) return;
    const inner = keyOf({ form, name });
    this.#inner.set(inner, this.#inner.has(inner) ? "" : flat);
    const described = this.#withNamespace(shown, holder);
    this.#offered.set(flat, {
      tool: { name: flat, ...described },
      form,
      name,
      item,
      ...definedFields({ namespace }),
    });
  }

  /** Adds the description of a namespace to the first of its tools. */
  #withNamespace(shown: Omit<Tool, "name">, holder: JsonObject | undefined): Omit<Tool, "name"> {
    const about = holder === undefined ? "" : (textField(holder, "description") ?? "");
    const name = holder === undefined ? "" : (textField(holder, "name") ?? "");
    if (about === "" || this.#described.has(name)) return shown;
    this.#described.add(name);
    const description = [shown.description ?? "", `${name}: ${about}`]
      .filter((text) => text !== "")
      .join("\n\n");
    return { ...shown, description };
  }
}

function keyOf({ form, name, namespace = "" }: ToolAddress): string {
  return JSON.stringify([form.type, namespace, name]);
}

function isClientSearch(item: Json): boolean {
  return isObject(item) && item["type"] === SEARCH_FORM.type && item["execution"] === "client";
}

/** Web search has several versions and one name. */
function droppedType(type: string): string {
  return type.startsWith("web_search") ? "web_search" : type;
}

/** Tools that items of the conversation add: from the client, or from its search. */
function addedTools(input: Json | undefined): readonly Json[] {
  if (!Array.isArray(input)) return [];
  return input.flatMap((item) => {
    const adds =
      isObject(item) && (item["type"] === "additional_tools" || item["type"] === SEARCH_FORM.output);
    return adds ? (listField(item, "tools") ?? []) : [];
  });
}
