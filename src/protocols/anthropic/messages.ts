import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { append } from "../../core/long-lists.ts";
import { type BodyFields, invalidRequest, withoutUndefined } from "../fields.ts";
import type { OnReplaced } from "../placeholders.ts";
import { type BlockContent, inputText, readBlockContent, readPart, readParts, textParts } from "./content.ts";
import { isServerToolBlock, serverToolText } from "./server-tools.ts";
import { isToolChange } from "./tool-changes.ts";

/** The messages of a body, and the names of blocks that no model gets: `messages.document`. */
interface ReadMessages {
  readonly messages: readonly Message[];
  readonly dropped: readonly string[];
}

/**
 * The system prompt and the messages of a body. A message with several tool results becomes one message per result,
 * before its other blocks. Throws `invalid_request` and `unsupported`.
 */
export function readAnthropicMessages(body: BodyFields): ReadMessages {
  const reader = new TurnReader();
  const system = readSystem(readBlockContent(body, "system"), reader.drop);
  const turns = body.objects("messages", "anthropic.MessageParam");
  const newest = newestTurn(turns);
  const lastOfUser = turns.findLastIndex((turn) => turn.text("role") === "user");
  const messages: Message[] = system.length === 0 ? [] : [{ role: "system", content: system }];
  for (const [index, turn] of turns.entries()) {
    if (!isTemporary(turn)) append(messages, reader.read(turn, index === newest));
    else if (index > lastOfUser) addNote(messages, reader.readNote(turn));
  }
  return { messages, dropped: [...reader.dropped] };
}

/** True for a system message that the client wants shown until the user's next message only. */
function isTemporary(turn: BodyFields): boolean {
  return turn.text("role") === "system" && turn.text("clear_at") === "next_user_message";
}

/**
 * Appends a temporary system message to the user's last message. In front it would change the beginning of the
 * prompt, and so defeat prompt caches.
 */
function addNote(messages: Message[], note: readonly ContentPart[]): void {
  const last = messages.at(-1);
  if (note.length === 0) return;
  if (last?.role !== "user") messages.push({ role: "user", content: note });
  else messages[messages.length - 1] = { ...last, content: [...last.content, ...note] };
}

/**
 * The index of the user's last message, or -1 when the assistant has answered it. A message with tool results, or
 * right behind one, is content of tools and not the user's.
 */
function newestTurn(turns: readonly BodyFields[]): number {
  const last = turns.findLastIndex((turn) => turn.text("role") !== "system");
  if (turns[last]?.text("role") !== "user") return -1;
  const before = turns.findLastIndex((turn, index) => index < last && turn.text("role") !== "system");
  return [turns[last], turns[before]].some((turn) => turn !== undefined && hasResults(turn)) ? -1 : last;
}

function hasResults(turn: BodyFields): boolean {
  const content = readBlockContent(turn, "content");
  return typeof content !== "string" && content.some(isResult);
}

class TurnReader {
  readonly dropped: Set<string> = new Set();
  /** Names of called tools by the id of the call. */
  readonly #names = new Map<string, string>();

  readonly drop = (type: string): void => {
    this.dropped.add(`messages.${type}`);
  };

  read(turn: BodyFields, isNewest: boolean): Message[] {
    const role = turn.text("role");
    switch (role) {
      case "user":
        return this.#readUser(turn, isNewest ? undefined : this.drop);
      case "assistant":
        return [this.#readAssistant(turn)];
      case "system":
        return this.#readSystem(turn);
      default:
        throw invalidRequest(`messages: unexpected role ${JSON.stringify(role)}`);
    }
  }

  /** The content of a temporary system message. */
  readNote(turn: BodyFields): readonly ContentPart[] {
    return this.#readSystem(turn).flatMap(({ content }) => content);
  }

  /** A message that only changes tools or settings has no content. */
  #readSystem(turn: BodyFields): Message[] {
    const content = readBlockContent(turn, "content");
    const kept = typeof content === "string" ? content : content.filter((block) => !isToolChange(block));
    const settings = turn.any("output_config");
    if (settings !== undefined) this.drop("output_config");
    if (kept.length === 0 && (content.length > 0 || settings !== undefined)) return [];
    return [{ role: "system", content: readSystem(kept, this.drop) }];
  }

  #readUser(turn: BodyFields, onReplaced: OnReplaced): Message[] {
    const content = readBlockContent(turn, "content");
    if (typeof content === "string") return [{ role: "user", content: readParts(content, onReplaced) }];
    if (content.some(wantsCitations)) this.drop("citations");
    const results = content.filter(isResult).map((block) => this.#readResult(block));
    const rest = content.filter((block) => !isResult(block)).flatMap((block) => readPart(block, onReplaced));
    return rest.length === 0 && results.length > 0 ? results : [...results, { role: "user", content: rest }];
  }

  #readResult(block: BodyFields): Message {
    const toolCallId = block.text("tool_use_id");
    if (toolCallId === "") throw invalidRequest("a tool_result block needs a tool_use_id");
    const content = readParts(readBlockContent(block, "content"), this.drop);
    // No other dialect marks a result as an error, so the text says it.
    const mark: ContentPart[] = block.flag("is_error") === true ? [{ type: "text", text: "Error: " }] : [];
    return withoutUndefined<Message>({
      role: "tool",
      content: [...mark, ...content],
      toolCallId,
      toolName: this.#names.get(toolCallId),
    });
  }

  #readAssistant(turn: BodyFields): Message {
    const content = readBlockContent(turn, "content");
    if (typeof content === "string") return { role: "assistant", content: readParts(content, this.drop) };
    const kept: ContentPart[] = [];
    const thoughts: string[] = [];
    const toolCalls: ToolCall[] = [];
    for (const block of content) {
      const type = block.text("type");
      if (type === "thinking") thoughts.push(block.text("thinking"));
      else if (type === "tool_use") toolCalls.push(this.#readCall(block));
      else for (const part of this.#readOther(block, type)) kept.push(part);
    }
    return withoutUndefined<Message>({
      role: "assistant",
      content: kept,
      thinking: thoughts.length === 0 ? undefined : thoughts.join("\n"),
      toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
    });
  }

  #readOther(block: BodyFields, type: string): ContentPart[] {
    const isSilent = SILENT.has(type);
    if (!isSilent && !isServerToolBlock(type)) return readPart(block, this.drop);
    this.drop(type);
    return isSilent ? [] : serverToolText(block);
  }

  #readCall(block: BodyFields): ToolCall {
    const id = block.text("id");
    const name = block.text("name");
    if (id === "" || name === "") throw invalidRequest("a tool_use block needs an id and a name");
    this.#names.set(id, name);
    return { id, name, arguments: inputText(block.any("input")) };
  }
}

/** Blocks without text: encrypted thinking, and notes about the model that answered. */
const SILENT: ReadonlySet<string> = new Set(["redacted_thinking", "fallback"]);

/** Only Anthropic's models cite documents. */
function wantsCitations(block: BodyFields): boolean {
  const type = block.text("type");
  if (type !== "document" && type !== "search_result") return false;
  return block.inner("citations", "anthropic.Citations").flag("enabled") === true;
}

function isResult(block: BodyFields): boolean {
  return block.text("type") === "tool_result";
}

/**
 * Claude Code's first line for Anthropic's accounting: `x-anthropic-billing-header: cc_version=…; cch=…;`. It differs
 * by session or request, so prompts would no longer share a beginning.
 */
const BILLING = "x-anthropic-billing-header:";

/** The parts of a system prompt without accounting lines. */
function readSystem(content: BlockContent, onReplaced: OnReplaced): ContentPart[] {
  if (typeof content === "string") return textParts(withoutBilling(content));
  return content.flatMap((block) => {
    const parts = readPart(block, onReplaced);
    return parts.flatMap((part) => (part.type === "text" ? textParts(withoutBilling(part.text)) : [part]));
  });
}

function withoutBilling(text: string): string {
  if (!text.startsWith(BILLING)) return text;
  const end = text.indexOf("\n");
  return end < 0 ? "" : withoutBilling(text.slice(end + 1));
}
