import type { ChatHistoryItem, LlamaModel, Token } from "node-llama-cpp";
import type { ChatRequest, GenerateRequest, Message } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { Runtime } from "./runtime.ts";

/** A request that asks for text. */
export type TextRequest = ChatRequest | GenerateRequest;

/** Throws `unsupported` for features that this model lacks, in Ollama's words, which clients check. */
export function refuseUnsupported(request: TextRequest, asked: string): void {
  const feature =
    commonFeature(request) ?? (request.kind === "chat" ? chatFeature(request) : generateFeature(request));
  if (feature === undefined) return;
  const subject = feature === "thinking" ? `"${asked}"` : asked;
  throw new Fault("unsupported", `${subject} does not support ${feature}`);
}

function commonFeature({ think, thinkIfAble, logprobs }: TextRequest): string | undefined {
  if (think !== undefined && think !== false && !thinkIfAble) return "thinking";
  return logprobs === undefined ? undefined : "logprobs";
}

function chatFeature({ tools, messages }: ChatRequest): string | undefined {
  if ((tools ?? []).length > 0 || messages.some(usesTools)) return "tools";
  return messages.every(isText) ? undefined : "images";
}

function generateFeature({ suffix, template, images }: GenerateRequest): string | undefined {
  if (suffix) return "insert";
  if (template) return "template";
  return images.length > 0 ? "images" : undefined;
}

function usesTools({ role, toolCalls }: Message): boolean {
  return role === "tool" || (toolCalls ?? []).length > 0;
}

function isText({ content }: Message): boolean {
  return content.every((part) => part.type === "text");
}

/**
 * Refuses prompts that cannot fit, without tokenizing them: the tokenizer blocks the process for up to half a second
 * per megabyte. Each message is at least one token.
 */
function refuseEndless({ contextSize, longestToken }: Runtime, request: TextRequest): void {
  const isLong = (characters: number): boolean => characters > contextSize * longestToken;
  const endless =
    request.kind === "chat"
      ? request.messages.length > contextSize || isLong(charactersOf(request.messages))
      : isLong(request.prompt.length + (request.system ?? "").length);
  if (endless) throw tooLong(contextSize);
}

function charactersOf(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + textOf(message).length, 0);
}

function tooLong(contextSize: number): Fault {
  return new Fault(
    "invalid_request",
    `the input length exceeds the context length: there is room for ${contextSize - 1} tokens`,
  );
}

/**
 * The tokens of a request. Client text never becomes a control token, unless the prompt is raw. Throws
 * `invalid_request`:
 * - for an empty prompt, or one that fills the context,
 * - for a context of another model,
 * - for unknown roles.
 */
export function promptTokens(runtime: Runtime, request: TextRequest): Token[] {
  refuseEndless(runtime, request);
  const tokens = tokenize(runtime, request);
  if (tokens.length === 0) throw new Fault("invalid_request", "the prompt is empty");
  if (tokens.length >= runtime.contextSize) throw tooLong(runtime.contextSize);
  return tokens;
}

function tokenize(runtime: Runtime, request: TextRequest): Token[] {
  if (request.kind === "chat") return render(runtime, historyOf(request.messages));
  if (request.raw) return withBos(runtime.model, runtime.model.tokenize(request.prompt, true));
  const system: ChatHistoryItem[] = request.system ? [{ type: "system", text: request.system }] : [];
  const turn = render(runtime, [
    ...system,
    { type: "user", text: request.prompt },
    { type: "model", response: [] },
  ]);
  return [...contextTokens(runtime.model, request.context ?? []), ...turn];
}

/** The chat history. A last message of the assistant stays open, and the model continues it, as in Ollama. */
function historyOf(messages: readonly Message[]): ChatHistoryItem[] {
  const history = messages.map(historyItem);
  return history.at(-1)?.type === "model" ? history : [...history, { type: "model", response: [] }];
}

function historyItem(message: Message): ChatHistoryItem {
  const text = textOf(message);
  switch (message.role) {
    case "system":
    case "developer":
      return { type: "system", text };
    case "user":
      return { type: "user", text };
    case "assistant":
      return { type: "model", response: [text] };
    default:
      throw new Fault("invalid_request", "the embedded model knows the roles system, user and assistant");
  }
}

function textOf({ content }: Message): string {
  return content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function render({ model, template }: Runtime, chatHistory: readonly ChatHistoryItem[]): Token[] {
  const { contextText } = template.generateContextState({ chatHistory });
  return withBos(model, contextText.tokenize(model.tokenizer));
}

function withBos(model: LlamaModel, tokens: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens;
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

/** The tokens of a client's context. They are checked here, since the native code does not check them. */
function contextTokens(model: LlamaModel, context: readonly number[]): Token[] {
  const known = vocabularySize(model);
  const wrong = context.some((token) => !Number.isInteger(token) || token < 0 || token >= known);
  if (wrong) throw new Fault("invalid_request", "the context is not one of this model");
  return context as Token[];
}

function vocabularySize(model: LlamaModel): number {
  return model.fileInfo.metadata.tokenizer.ggml.tokens.length;
}
