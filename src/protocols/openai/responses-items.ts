import type { ContentPart, Message } from "../../core/chat.ts";
import type { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { invalidRequest, listField, textField } from "../fields.ts";
import { placeholder } from "../placeholders.ts";
import type { OnReplaced } from "../placeholders.ts";
import { readItemContent, requiredText, itemTextParts } from "./responses-content.ts";
import { Conversation } from "./responses-conversation.ts";
import { FUNCTION_FORM, isNamed, resultOf, SEARCH_FORM, TOOL_FORMS, type ToolForm } from "./tool-forms.ts";
import type { ToolTable } from "./tool-table.ts";

/** The messages of a body, and the names of items that no model gets: `input.compaction`. */
interface ReadInput {
  readonly messages: readonly Message[];
  readonly dropped: readonly string[];
}

/**
 * Reads the conversation of a body: `instructions`, then `input` as a text or a list of items. Throws
 * `invalid_request` and `unsupported` in Ollama's words.
 */
export function readInput(body: JsonObject, tools: ToolTable): ReadInput {
  const instructions = textField(body, "instructions") ?? "";
  const input = body["input"] ?? undefined;
  if (input === undefined) throw invalidRequest("input is required");
  const reader = new ItemReader(tools);
  const { conversation } = reader;
  if (instructions !== "") conversation.add({ role: "system", content: itemTextParts(instructions) });
  if (typeof input === "string") conversation.add({ role: "user", content: itemTextParts(input) });
  else reader.read(itemsOf(input));
  const messages = conversation.messages();
  if (messages.length === 0) throw reader.unknown ?? invalidRequest("input has no content for a model");
  return { messages, dropped: [...reader.dropped] };
}

function itemsOf(input: Json): readonly Json[] {
  if (!Array.isArray(input)) throw invalidRequest("input must be a string or an array of items");
  if (input.length === 0) throw invalidRequest("input is required");
  return input;
}

/** Items that request an action of the server. The newest item cannot be ignored. */
const REQUESTS: ReadonlySet<string> = new Set(["compaction_trigger", "mcp_approval_response"]);

const CALLS: ReadonlyMap<string, ToolForm> = new Map(TOOL_FORMS.map((form) => [form.call, form]));
const OUTPUTS: ReadonlySet<string> = new Set(TOOL_FORMS.map(({ output }) => output));

class ItemReader {
  readonly conversation: Conversation = new Conversation();
  readonly dropped: Set<string> = new Set();
  #unknown: Fault | undefined;
  readonly #tools: ToolTable;

  constructor(tools: ToolTable) {
    this.#tools = tools;
  }

  /** The fault of the first ignored item. */
  get unknown(): Fault | undefined {
    return this.#unknown;
  }

  read(items: readonly Json[]): void {
    const newest = newestTurn(items);
    for (const [index, item] of items.entries()) {
      if (!isObject(item)) throw invalidRequest(`input[${index}]: an item must be an object`);
      if (this.#readItem(item, index === newest)) continue;
      const type = typeOf(item);
      const fault = invalidRequest(`input[${index}]: unknown input item type: ${JSON.stringify(type)}`);
      if (index === items.length - 1 && REQUESTS.has(type)) throw fault;
      this.#unknown ??= fault;
      this.#drop(type);
    }
  }

  /** False for an item that no model can get. */
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
    const role = requiredText(item, "role");
    const onReplaced: OnReplaced = isNewest ? undefined : this.#drop;
    const content = readItemContent(item["content"], onReplaced);
    if (role === "assistant") this.conversation.say(content);
    else this.conversation.add({ role, content });
  }

  /**
   * This server keeps no responses, so it cannot resolve a reference. An earlier thought is dropped; other items
   * become placeholders.
   */
  #missReference(item: JsonObject): void {
    const isThought = requiredText(item, "id").startsWith("rs_");
    if (!isThought) this.conversation.say([placeholder("item_reference")]);
    this.#drop("item_reference");
  }

  /** Reads a message between agents as a user message. */
  #readAgentMessage(item: JsonObject): void {
    const ends = [textField(item, "author"), textField(item, "recipient")].filter(
      (name) => (name ?? "") !== "",
    );
    const head = ends.length === 0 ? [] : itemTextParts(`Message from ${ends.join(" to ")}:\n`);
    const content: readonly ContentPart[] = readItemContent(item["content"] ?? "", this.#drop);
    this.conversation.add({ role: "user", content: [...head, ...content] });
  }

  #readCall(item: JsonObject, form: ToolForm): boolean {
    // A search by a server needs no answer.
    if (form === SEARCH_FORM && textField(item, "call_id") === undefined) return false;
    const name = isNamed(form) ? requiredText(item, "name") : form.type;
    const flat = this.#tools.flatName({ form, name, namespace: textField(item, "namespace") });
    this.conversation.call({ id: callIdOf(item), name: flat, arguments: form.argumentsText(item) });
    return true;
  }

  #readOutput(item: JsonObject, type: string): boolean {
    if (type === SEARCH_FORM.output && textField(item, "call_id") === undefined) return false;
    const id = this.#answeredBy(item);
    if (id === undefined) return false;
    const result = type === SEARCH_FORM.output ? this.#found(item) : resultOf(item);
    this.conversation.result(id, readItemContent(result, this.#drop));
    return true;
  }

  /** The call that a result answers. Without an id that is the first call without a result; undefined for none. */
  #answeredBy(item: JsonObject): string | undefined {
    const hasId = textField(item, "call_id") !== undefined || typeOf(item).startsWith("local_shell_call");
    return hasId ? callIdOf(item) : this.conversation.unanswered;
  }

  /** Names the tools that a search found, which the model can call from now on. */
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
  // In OpenAI's reference the type of a reference is optional.
  return "id" in item && Object.keys(item).length <= 2 ? "item_reference" : "";
}

/** The id of a call. Results of a local shell have it as `id` in OpenAI's reference, and as `call_id` in agents. */
function callIdOf(item: JsonObject): string {
  const local = typeOf(item).startsWith("local_shell_call") && textField(item, "call_id") === undefined;
  return requiredText(item, local ? "id" : "call_id");
}

/** The index of the user's last message, or -1 when the assistant has acted since. */
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

/** Reads a thought. This server's own items have it in `summary`, those of open models in `content`. */
function readReasoning(conversation: Conversation, item: JsonObject): void {
  const summary = textsOf(item, "summary");
  const thoughts = summary.length > 0 ? summary : textsOf(item, "content");
  if (thoughts.length > 0) conversation.think(thoughts.join("\n\n"));
}

function textsOf(item: JsonObject, name: string): string[] {
  const texts = (listField(item, name) ?? []).map((part) => (isObject(part) ? textField(part, "text") : ""));
  return texts.filter((text) => text !== undefined && text !== "") as string[];
}
