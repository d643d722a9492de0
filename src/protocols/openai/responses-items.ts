import type { ContentPart, Message } from "../../core/chat.ts";
import type { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { refusal } from "../fields.ts";
import { insteadOf } from "../fitting.ts";
import type { Replacing } from "../replaced.ts";
import { listField, textField } from "./fields.ts";
import { readContent, required, textParts } from "./responses-content.ts";
import { Conversation } from "./responses-conversation.ts";
import { FUNCTION_FORM, isNamed, resultOf, SEARCH_FORM, TOOL_FORMS, type ToolForm } from "./tool-forms.ts";
import type { ToolTable } from "./tool-table.ts";

/** The messages of a body, and what of its items no model is given: `input.compaction`. */
export interface ReadInput {
  readonly messages: readonly Message[];
  readonly dropped: readonly string[];
}

/**
 * The conversation of a body: `instructions`, then `input`, a text or a list of items. Throws `invalid_request` and
 * `unsupported` with Ollama's phrases.
 */
export function readInput(body: JsonObject, tools: ToolTable): ReadInput {
  const instructions = textField(body, "instructions") ?? "";
  const input = body["input"] ?? undefined;
  if (input === undefined) throw refusal("input is required");
  const reader = new ItemReader(tools);
  const { conversation } = reader;
  if (instructions !== "") conversation.add({ role: "system", content: textParts(instructions) });
  if (typeof input === "string") conversation.add({ role: "user", content: textParts(input) });
  else reader.read(itemsOf(input));
  const messages = conversation.messages();
  if (messages.length === 0) throw reader.unknown ?? refusal("input has nothing that a model can be given");
  return { messages, dropped: [...reader.dropped] };
}

function itemsOf(input: Json): readonly Json[] {
  if (!Array.isArray(input)) throw refusal("input must be a string or an array of items");
  if (input.length === 0) throw refusal("input is required");
  return input;
}

/** Items that ask the server for something. As the newest item they cannot be passed over. */
const REQUESTS: ReadonlySet<string> = new Set(["compaction_trigger", "mcp_approval_response"]);

const CALLS: ReadonlyMap<string, ToolForm> = new Map(TOOL_FORMS.map((form) => [form.call, form]));
const OUTPUTS: ReadonlySet<string> = new Set(TOOL_FORMS.map(({ output }) => output));

class ItemReader {
  readonly conversation: Conversation = new Conversation();
  readonly dropped: Set<string> = new Set();
  /** The fault of the first item that no model was given. */
  unknown: Fault | undefined;
  readonly #tools: ToolTable;

  constructor(tools: ToolTable) {
    this.#tools = tools;
  }

  read(items: readonly Json[]): void {
    const newest = newestTurn(items);
    for (const [index, item] of items.entries()) {
      if (!isObject(item)) throw refusal(`input[${index}]: an item must be an object`);
      if (this.#readItem(item, index === newest)) continue;
      const type = typeOf(item);
      const fault = refusal(`input[${index}]: unknown input item type: ${JSON.stringify(type)}`);
      if (index === items.length - 1 && REQUESTS.has(type)) throw fault;
      this.unknown ??= fault;
      this.#drop(type);
    }
  }

  /** False for an item that no model can be given. */
  #readItem(item: JsonObject, isNewest: boolean): boolean {
    const type = typeOf(item);
    const call = CALLS.get(type);
    if (call !== undefined) return this.#readCall(item, call);
    if (OUTPUTS.has(type)) return this.#readOutput(item, type);
    switch (type) {
      case "message":
        this.#readMessage(item, isNewest);
        return true;
      case "agent_message":
        this.#readAgentMessage(item);
        return true;
      case "reasoning":
        readReasoning(this.conversation, item);
        return true;
      case "additional_tools":
        return true;
      case "item_reference":
        this.#missReference(item);
        return true;
      default:
        return false;
    }
  }

  readonly #drop = (type: string): void => {
    this.dropped.add(`input.${type}`);
  };

  #readMessage(item: JsonObject, isNewest: boolean): void {
    const role = required(item, "role");
    const replacing: Replacing = isNewest ? undefined : this.#drop;
    const content = readContent(item["content"], replacing);
    if (role === "assistant") this.conversation.say(content);
    else this.conversation.add({ role, content });
  }

  /**
   * This server keeps no responses, so that what a reference stands for is not known. An earlier thought can be missed;
   * in the place of what was said stands a sentence.
   */
  #missReference(item: JsonObject): void {
    const isThought = required(item, "id").startsWith("rs_");
    if (!isThought) this.conversation.say([insteadOf("item_reference")]);
    this.#drop("item_reference");
  }

  /** One agent writes to another: for the model it is something that it is told. */
  #readAgentMessage(item: JsonObject): void {
    const ends = [textField(item, "author"), textField(item, "recipient")].filter(
      (name) => (name ?? "") !== "",
    );
    const head = ends.length === 0 ? [] : textParts(`Message from ${ends.join(" to ")}:\n`);
    const content: readonly ContentPart[] = readContent(item["content"] ?? "", this.#drop);
    this.conversation.add({ role: "user", content: [...head, ...content] });
  }

  #readCall(item: JsonObject, form: ToolForm): boolean {
    // A search that a server made has no one to answer it.
    if (form === SEARCH_FORM && textField(item, "call_id") === undefined) return false;
    const name = isNamed(form) ? required(item, "name") : form.type;
    const flat = this.#tools.flatName({ form, name, namespace: textField(item, "namespace") });
    this.conversation.call({ id: callIdOf(item), name: flat, arguments: form.written(item) });
    return true;
  }

  #readOutput(item: JsonObject, type: string): boolean {
    if (type === SEARCH_FORM.output && textField(item, "call_id") === undefined) return false;
    const id = this.#answeredBy(item);
    if (id === undefined) return false;
    const said = type === SEARCH_FORM.output ? this.#found(item) : resultOf(item);
    this.conversation.result(id, readContent(said, this.#drop));
    return true;
  }

  /** A result that names no call is that of the first one without a result; undefined when there is none. */
  #answeredBy(item: JsonObject): string | undefined {
    const tells = textField(item, "call_id") !== undefined || typeOf(item).startsWith("local_shell_call");
    return tells ? callIdOf(item) : this.conversation.unanswered;
  }

  /** The tools found are offered from now on: the model needs their names. */
  #found(item: JsonObject): string {
    const names = (listField(item, "tools") ?? []).flatMap((tool) => this.#namesIn(tool, undefined));
    return names.length === 0 ? "No tools were found." : `Tools that can be called now: ${names.join(", ")}`;
  }

  #namesIn(tool: Json, namespace: string | undefined): string[] {
    if (!isObject(tool)) return [];
    const name = textField(tool, "name") ?? "";
    if (tool["type"] === "namespace" && namespace === undefined) {
      return (listField(tool, "tools") ?? []).flatMap((inner) => this.#namesIn(inner, name));
    }
    const form = TOOL_FORMS.find(({ type }) => type === tool["type"]) ?? FUNCTION_FORM;
    return name === "" ? [] : [this.#tools.flatName({ form, name, namespace })];
  }
}

function typeOf(item: JsonObject): string {
  const type = textField(item, "type");
  if (type !== undefined) return type;
  if ("role" in item) return "message";
  // OpenAI's reference lets a reference go without a type.
  return "id" in item && Object.keys(item).length <= 2 ? "item_reference" : "";
}

/** A local shell's result names its call by `id` alone in OpenAI's reference, by `call_id` in agents. */
function callIdOf(item: JsonObject): string {
  const local = typeOf(item).startsWith("local_shell_call") && textField(item, "call_id") === undefined;
  return required(item, local ? "id" : "call_id");
}

/** The user's last message, when the assistant has done nothing since; -1 when it has. */
function newestTurn(items: readonly Json[]): number {
  for (let index = items.length - 1; index >= 0; index -= 1) {
    const item = items[index];
    if (!isObject(item)) continue;
    const type = typeOf(item);
    if (type === "message" && item["role"] === "user") return index;
    if (type === "reasoning" || CALLS.has(type) || OUTPUTS.has(type) || item["role"] === "assistant")
      return -1;
  }
  return -1;
}

/** The summary is what this server's own reasoning items say; `content` is where open models' say it. */
function readReasoning(conversation: Conversation, item: JsonObject): void {
  const summary = textsOf(item, "summary");
  const thoughts = summary.length > 0 ? summary : textsOf(item, "content");
  if (thoughts.length > 0) conversation.think(thoughts.join("\n\n"));
}

function textsOf(item: JsonObject, name: string): string[] {
  const texts = (listField(item, name) ?? []).map((part) => (isObject(part) ? textField(part, "text") : ""));
  return texts.filter((text) => text !== undefined && text !== "") as string[];
}
