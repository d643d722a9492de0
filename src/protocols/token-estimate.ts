import type { ChatRequest, ContentPart, Message, NeutralRequest } from "../core/chat.ts";
import type { Usage } from "../core/usage.ts";

/** Ollama's rule of thumb. */
const CHARACTERS_PER_TOKEN = 4;
/** Tokens of the template around a message. */
const MESSAGE_OVERHEAD = 4;
/** Tokens of an image of medium size. */
const IMAGE_TOKENS = 1000;

/**
 * Returns the usage with estimates for missing or zero counts, so that no reply claims to cost nothing. @param deltas
 * pieces of the answer
 */
export function usageOrEstimate(usage: Usage | undefined, request: NeutralRequest, deltas: number): Usage {
  const { promptTokens: prompt = 0, completionTokens: completion = 0 } = usage ?? {};
  return {
    ...usage,
    promptTokens: prompt > 0 ? prompt : promptTokens(request),
    completionTokens: completion > 0 ? completion : deltas,
  };
}

function promptTokens(request: NeutralRequest): number {
  switch (request.kind) {
    case "chat":
      return estimateTokens(request);
    case "generate":
      return Math.ceil((request.prompt.length + (request.system ?? "").length) / CHARACTERS_PER_TOKEN);
    case "embed":
    case "load":
      return 0;
  }
}

/** Estimates the tokens of a chat, for models whose tokenizer is unavailable. */
export function estimateTokens({ messages, tools }: ChatRequest): number {
  const described = tools === undefined ? 0 : JSON.stringify(tools).length;
  const characters = messages.reduce((sum, message) => sum + charactersOf(message), described);
  const media = messages.flatMap(({ content }) => content).filter((part) => part.type !== "text").length;
  return (
    Math.ceil(characters / CHARACTERS_PER_TOKEN) + messages.length * MESSAGE_OVERHEAD + media * IMAGE_TOKENS
  );
}

function charactersOf({ content, thinking, toolCalls }: Message): number {
  const calls = (toolCalls ?? []).reduce((sum, call) => sum + call.name.length + call.arguments.length, 0);
  return content.reduce((sum, part) => sum + textLength(part), (thinking ?? "").length + calls);
}

function textLength(part: ContentPart): number {
  return part.type === "text" ? part.text.length : 0;
}
