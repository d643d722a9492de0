import type { ContentPart, Message, ToolCall } from "../../core/chat.ts";
import { append } from "../../core/long-lists.ts";
import { type Fields, refusal, setOnly } from "../fields.ts";
import type { Replacing } from "../replaced.ts";
import { inputText, readContent, readPart, readParts } from "./content.ts";
import { isServerWork, tellServerWork } from "./server-work.ts";
import { readSystem } from "./system.ts";
import { isToolChange } from "./tool-changes.ts";

/** The messages of a body, and what of their blocks no model is given: `messages.document`. */
export interface ReadMessages {
  readonly messages: readonly Message[];
  readonly dropped: readonly string[];
}

/**
 * The system prompt and the messages of a body. A message of Anthropic's with several tool results becomes
 * several messages, one per result, before what else it holds. Throws `invalid_request` and `unsupported`.
 */
export function readMessages(body: Fields): ReadMessages {
  const reader = new TurnReader();
  const system = readSystem(readContent(body, "system"), reader.drop);
  const turns = body.objects("messages", "anthropic.MessageParam");
  const newest = newestTurn(turns);
  const lastOfUser = turns.findLastIndex((turn) => turn.text("role") === "user");
  const messages: Message[] = system.length === 0 ? [] : [{ role: "system", content: system }];
  for (const [index, turn] of turns.entries()) {
    if (!isPassing(turn)) append(messages, reader.read(turn, index === newest));
    else if (index > lastOfUser) addNote(messages, reader.readNote(turn));
  }
  return { messages, dropped: [...reader.dropped] };
}

/** True for a message of the system that its client wants shown only until the user's next one. */
function isPassing(turn: Fields): boolean {
  return turn.text("role") === "system" && turn.text("clear_at") === "next_user_message";
}

/**
 * Puts a passing message of the system to what the user said last. In front, with what the system says for good, it
 * would change the beginning of the prompt when it comes and when it goes.
 */
function addNote(messages: Message[], note: readonly ContentPart[]): void {
  const last = messages.at(-1);
  if (note.length === 0) return;
  if (last?.role !== "user") messages.push({ role: "user", content: note });
  else messages[messages.length - 1] = { ...last, content: [...last.content, ...note] };
}

/**
 * The user's last message, when the assistant has said nothing since; -1 when it has. A message with tool results, or
 * right behind one, is not the user's: agents put there what their tools have read.
 */
function newestTurn(turns: readonly Fields[]): number {
  const last = turns.findLastIndex((turn) => turn.text("role") !== "system");
  if (turns[last]?.text("role") !== "user") return -1;
  const before = turns.findLastIndex((turn, index) => index < last && turn.text("role") !== "system");
  return [turns[last], turns[before]].some((turn) => turn !== undefined && hasResults(turn)) ? -1 : last;
}

function hasResults(turn: Fields): boolean {
  const content = readContent(turn, "content");
  return typeof content !== "string" && content.some(isResult);
}

class TurnReader {
  readonly dropped: Set<string> = new Set();
  /** Names of the tools called so far, by the id of the call. */
  readonly #names = new Map<string, string>();

  readonly drop = (type: string): void => {
    this.dropped.add(`messages.${type}`);
  };

  read(turn: Fields, isNewest: boolean): Message[] {
    const role = turn.text("role");
    switch (role) {
      case "user":
        return this.#readUser(turn, isNewest ? undefined : this.drop);
      case "assistant":
        return [this.#readAssistant(turn)];
      case "system":
        return this.#readSystem(turn);
      default:
        throw refusal(`messages: unexpected role ${JSON.stringify(role)}`);
    }
  }

  /** What a passing message of the system says. */
  readNote(turn: Fields): readonly ContentPart[] {
    return this.#readSystem(turn).flatMap(({ content }) => content);
  }

  /** A message that only changes the tools or the settings says nothing. */
  #readSystem(turn: Fields): Message[] {
    const content = readContent(turn, "content");
    const said = typeof content === "string" ? content : content.filter((block) => !isToolChange(block));
    const settings = turn.any("output_config");
    if (settings !== undefined) this.drop("output_config");
    if (said.length === 0 && (content.length > 0 || settings !== undefined)) return [];
    return [{ role: "system", content: readSystem(said, this.drop) }];
  }

  #readUser(turn: Fields, replacing: Replacing): Message[] {
    const content = readContent(turn, "content");
    if (typeof content === "string") return [{ role: "user", content: readParts(content, replacing) }];
    if (content.some(wantsCitations)) this.drop("citations");
    const results = content.filter(isResult).map((block) => this.#readResult(block));
    const rest = content.filter((block) => !isResult(block)).flatMap((block) => readPart(block, replacing));
    return rest.length === 0 && results.length > 0 ? results : [...results, { role: "user", content: rest }];
  }

  #readResult(block: Fields): Message {
    const toolCallId = block.text("tool_use_id");
    if (toolCallId === "") throw refusal("a tool_result block needs a tool_use_id");
    const content = readParts(readContent(block, "content"), this.drop);
    // No other dialect can mark a result as an error: the model is told in words.
    const mark: ContentPart[] = block.flag("is_error") === true ? [{ type: "text", text: "Error: " }] : [];
    return setOnly<Message>({
      role: "tool",
      content: [...mark, ...content],
      toolCallId,
      toolName: this.#names.get(toolCallId),
    });
  }

  #readAssistant(turn: Fields): Message {
    const content = readContent(turn, "content");
    if (typeof content === "string") return { role: "assistant", content: readParts(content, this.drop) };
    const said: ContentPart[] = [];
    const thoughts: string[] = [];
    const toolCalls: ToolCall[] = [];
    for (const block of content) {
      const type = block.text("type");
      if (type === "thinking") thoughts.push(block.text("thinking"));
      else if (type === "tool_use") toolCalls.push(this.#readCall(block));
      else for (const part of this.#readSaid(block, type)) said.push(part);
    }
    return setOnly<Message>({
      role: "assistant",
      content: said,
      thinking: thoughts.length === 0 ? undefined : thoughts.join("\n"),
      toolCalls: toolCalls.length === 0 ? undefined : toolCalls,
    });
  }

  #readSaid(block: Fields, type: string): ContentPart[] {
    const isSilent = SILENT.has(type);
    if (!isSilent && !isServerWork(type)) return readPart(block, this.drop);
    this.drop(type);
    return isSilent ? [] : tellServerWork(block);
  }

  #readCall(block: Fields): ToolCall {
    const id = block.text("id");
    const name = block.text("name");
    if (id === "" || name === "") throw refusal("a tool_use block needs an id and a name");
    this.#names.set(id, name);
    return { id, name, arguments: inputText(block.any("input")) };
  }
}

/** A thought that only the server that wrote it can read, and a note about which model wrote what. */
const SILENT: ReadonlySet<string> = new Set(["redacted_thinking", "fallback"]);

/** Answers that cite a document are Anthropic's own. */
function wantsCitations(block: Fields): boolean {
  const type = block.text("type");
  if (type !== "document" && type !== "search_result") return false;
  return block.inner("citations", "anthropic.Citations").flag("enabled") === true;
}

function isResult(block: Fields): boolean {
  return block.text("type") === "tool_result";
}
