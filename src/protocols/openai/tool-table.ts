import type { Tool } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { present, refusal } from "../fields.ts";
import { listField, mismatch, textField } from "./fields.ts";
import { FlatNames, joinNames } from "./flat-names.ts";
import { FUNCTION_FORM, isNamed, SEARCH_FORM, TOOL_FORMS, type ToolForm } from "./tool-forms.ts";

/** A tool as the client has it, and as a model is offered it. */
export interface OfferedTool {
  readonly tool: Tool;
  readonly form: ToolForm;
  readonly name: string;
  readonly namespace?: string;
  /** As the client wrote it. */
  readonly item: JsonObject;
}

/** Which tool is meant: by its kind, its name and its namespace. */
export interface ToolAddress {
  readonly form: ToolForm;
  readonly name: string;
  readonly namespace?: string | undefined;
}

/**
 * The tools of a body of POST /v1/responses: those of `tools`, then those that its items add. A model knows all by one
 * flat name each. The table follows from the body alone, so that the reader of a request and the writer of its reply
 * have the same one.
 */
export class ToolTable {
  readonly #names = new FlatNames();
  readonly #flat = new Map<string, string>();
  readonly #offered = new Map<string, OfferedTool>();
  readonly #dropped = new Set<string>();
  readonly #described = new Set<string>();
  /** Flat names by what a tool is called within its namespace; "" where several are called so. */
  readonly #inner = new Map<string, string>();

  /** Throws `invalid_request` for tools that are none. */
  constructor(body: JsonObject) {
    const tools = listField(body, "tools") ?? [];
    const searches = tools.some(isClientSearch);
    for (const item of tools) {
      if (isObject(item) && item["type"] === "function") this.#reserve(textField(item, "name") ?? "");
    }
    for (const item of tools) this.#add(item, undefined, searches);
    for (const item of addedTools(body["input"])) this.#add(item, undefined, false);
  }

  /** In the client's order. */
  get offered(): readonly OfferedTool[] {
    return [...this.#offered.values()];
  }

  /** The tools that no model is offered, as they are told: `tools.web_search`. */
  get dropped(): readonly string[] {
    return [...this.#dropped];
  }

  /** The tool that a model calls by this name; undefined for a name it made up. */
  find(flat: string): OfferedTool | undefined {
    return this.#offered.get(flat);
  }

  /** The flat name of a tool; one that is offered no longer keeps the same for this request. */
  flatName({ form, name, namespace }: ToolAddress): string {
    const key = keyOf({ form, name, namespace });
    const known = this.#flat.get(key) ?? this.#meant({ form, name, namespace });
    if (known !== undefined) return known;
    const flat = this.#names.give(joinNames(namespace, name));
    this.#flat.set(key, flat);
    return flat;
  }

  /** The flat name of the tool that an entry of `tool_choice` stands for; undefined for one that is not offered. */
  nameOf(choice: JsonObject): string | undefined {
    const type = textField(choice, "type") ?? "";
    const form = TOOL_FORMS.find((one) => one.type === type);
    if (form === undefined) return undefined;
    const name = isNamed(form) ? (textField(choice, "name") ?? "") : type;
    const address = { form, name, namespace: textField(choice, "namespace") };
    const flat = this.#flat.get(keyOf(address)) ?? this.#meant(address);
    return flat !== undefined && this.#offered.has(flat) ? flat : undefined;
  }

  /** Clients that know no namespaces send a flat name back, or the inner name alone. */
  #meant({ form, name, namespace }: ToolAddress): string | undefined {
    if (namespace !== undefined) return undefined;
    if (this.#offered.get(name)?.form === form) return name;
    return this.#inner.get(keyOf({ form, name })) || undefined;
  }

  /** A plain function keeps its own name, whatever a namespace before it would be called. */
  #reserve(name: string): void {
    const key = keyOf({ form: FUNCTION_FORM, name });
    if (name !== "" && this.#names.take(name)) this.#flat.set(key, name);
  }

  /** @param hidden leave out what the client's own search is to find first */
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
    if (name === "") throw refusal("a tool needs a name");
    const namespace = holder === undefined ? undefined : textField(holder, "name");
    const key = keyOf({ form, name, namespace });
    const flat = this.#flat.get(key) ?? this.#names.give(joinNames(namespace, name));
    this.#flat.set(key, flat);
    if (this.#offered.has(flat)) return;
    const inner = keyOf({ form, name });
    this.#inner.set(inner, this.#inner.has(inner) ? "" : flat);
    const told = this.#withNamespace(shown, holder);
    this.#offered.set(flat, { tool: { name: flat, ...told }, form, name, item, ...present({ namespace }) });
  }

  /** The description of a namespace is told with the first of its tools. */
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

/** Searches of the web have several versions, and one name. */
function droppedType(type: string): string {
  return type.startsWith("web_search") ? "web_search" : type;
}

/** Tools that come with the conversation: told by the client, or found by its search. */
function addedTools(input: Json | undefined): readonly Json[] {
  if (!Array.isArray(input)) return [];
  return input.flatMap((item) => {
    const adds =
      isObject(item) && (item["type"] === "additional_tools" || item["type"] === SEARCH_FORM.output);
    return adds ? (listField(item, "tools") ?? []) : [];
  });
}
