import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { definedFields } from "../fields.ts";

/** Gathers the items of a conversation into messages. The items of one turn of the assistant become one message. */
export class Conversation {
  readonly #messages: Message[] = [];
  readonly #names = new Map<string, string>();
  readonly #unanswered = new Set<string>();
  #content: ContentPart[] = [];
  #thoughts: string[] = [];
  #calls: ToolCall[] = [];

  add(message: Message): void {
    this.#closeTurn();
    this.#messages.push(message);
  }

  say(content: readonly ContentPart[]): void {
    for (const part of content) this.#content.push(part);
  }

  think(thought: string): void {
    this.#thoughts.push(thought);
  }

  call(call: ToolCall): void {
    this.#calls.push(call);
    this.#names.set(call.id, call.name);
    this.#unanswered.add(call.id);
  }

  result(id: string, content: readonly ContentPart[]): void {
    this.#unanswered.delete(id);
    this.add({ role: "tool", content, toolCallId: id, ...definedFields({ toolName: this.#names.get(id) }) });
  }

  /** The first call without a result; undefined for none. */
  get unanswered(): string | undefined {
    const [first] = this.#unanswered;
    return first;
  }

  messages(): readonly Message[] {
    this.#closeTurn();
    return this.#messages;
  }

  #closeTurn(): void {
    const [content, thoughts, calls] = [this.#content, this.#thoughts, this.#calls];
    if (content.length + thoughts.length + calls.length === 0) return;
    [this.#content, this.#thoughts, this.#calls] = [[], [], []];
    const thinking = thoughts.length === 0 ? undefined : thoughts.join("\n\n");
    const toolCalls = calls.length === 0 ? undefined : calls;
    this.#messages.push({ role: "assistant", content, ...definedFields({ thinking, toolCalls }) });
  }
}
