import Anthropic from "@anthropic-ai/sdk";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, type LanguageModel, streamText } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { MODEL } from "../rig/fleet/fleet.ts";

/** One question through a client library. */
export interface Call {
  readonly url: string;
  readonly stream: boolean;
  readonly tokens: number;
  readonly prompt?: string;
  readonly model?: string;
  /** Aborted, the client leaves. */
  readonly signal: AbortSignal;
}

/** Gives the text as it comes; throws what the library throws. */
export type Client = (call: Call) => AsyncIterable<string>;

/** The public client libraries, each as its own manual uses it. */
export const SDK_CLIENTS: Readonly<Record<string, Client>> = {
  "ollama chat": ollamaChat,
  "ollama generate": ollamaGenerate,
  "openai chat": openaiChat,
  "openai chat, stream helper": openaiHelper,
  "openai completions": openaiCompletions,
  "openai responses": openaiResponses,
  "anthropic messages": anthropicMessages,
  "anthropic messages, stream helper": anthropicHelper,
  "ai with openai-compatible": aiSdk,
};

const NO_RETRIES = { maxRetries: 0, apiKey: "none" } as const;

function messagesOf({ prompt = "hello" }: Call): { role: "user"; content: string }[] {
  return [{ role: "user", content: prompt }];
}

function ollamaAt({ url, signal }: Call): Ollama {
  return new Ollama({
    host: url,
    fetch: (input, init) => {
      const signals = [signal, ...(init?.signal ? [init.signal] : [])];
      return fetch(input, { ...init, signal: AbortSignal.any(signals) });
    },
  });
}

async function* ollamaChat(call: Call): AsyncIterable<string> {
  const asked = {
    model: call.model ?? MODEL,
    messages: messagesOf(call),
    options: { num_predict: call.tokens, temperature: 0 },
  };
  if (!call.stream) yield (await ollamaAt(call).chat(asked)).message.content;
  else {
    for await (const part of await ollamaAt(call).chat({ ...asked, stream: true }))
      yield part.message.content;
  }
}

async function* ollamaGenerate(call: Call): AsyncIterable<string> {
  const asked = {
    model: call.model ?? MODEL,
    prompt: call.prompt ?? "hello",
    options: { num_predict: call.tokens, temperature: 0 },
  };
  if (!call.stream) yield (await ollamaAt(call).generate(asked)).response ?? "";
  else {
    for await (const part of await ollamaAt(call).generate({ ...asked, stream: true }))
      yield part.response ?? "";
  }
}

function openaiAt({ url }: Call): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, ...NO_RETRIES });
}

function chatOf(call: Call): OpenAI.Chat.ChatCompletionCreateParamsNonStreaming {
  return {
    model: call.model ?? MODEL,
    messages: messagesOf(call),
    max_tokens: call.tokens,
    temperature: 0,
  };
}

async function* openaiChat(call: Call): AsyncIterable<string> {
  const { completions } = openaiAt(call).chat;
  const { signal } = call;
  if (!call.stream) {
    yield (await completions.create(chatOf(call), { signal })).choices[0]?.message.content ?? "";
    return;
  }
  for await (const chunk of await completions.create({ ...chatOf(call), stream: true }, { signal })) {
    yield chunk.choices[0]?.delta.content ?? "";
  }
}

async function* openaiHelper(call: Call): AsyncIterable<string> {
  const stream = openaiAt(call).chat.completions.stream(
    { ...chatOf(call), stream: true },
    { signal: call.signal },
  );
  for await (const chunk of stream) yield chunk.choices[0]?.delta.content ?? "";
  await stream.finalChatCompletion();
}

async function* openaiCompletions(call: Call): AsyncIterable<string> {
  const { completions } = openaiAt(call);
  const { signal } = call;
  const asked = {
    model: call.model ?? MODEL,
    prompt: call.prompt ?? "hello",
    max_tokens: call.tokens,
    temperature: 0,
  };
  if (!call.stream) {
    yield (await completions.create(asked, { signal })).choices[0]?.text ?? "";
    return;
  }
  for await (const chunk of await completions.create({ ...asked, stream: true }, { signal })) {
    yield chunk.choices[0]?.text ?? "";
  }
}

async function* openaiResponses(call: Call): AsyncIterable<string> {
  const { responses } = openaiAt(call);
  const { signal } = call;
  const asked = {
    model: call.model ?? MODEL,
    input: call.prompt ?? "hello",
    max_output_tokens: call.tokens,
    temperature: 0,
  };
  if (!call.stream) {
    yield (await responses.create(asked, { signal })).output_text;
    return;
  }
  for await (const event of await responses.create({ ...asked, stream: true }, { signal })) {
    if (event.type === "response.output_text.delta") yield event.delta;
  }
}

function anthropicAt({ url }: Call): Anthropic {
  return new Anthropic({ baseURL: url, ...NO_RETRIES });
}

/** The library has no type for it any more. */
const GREEDY = { temperature: 0 };

function messageOf(call: Call): Anthropic.MessageCreateParamsNonStreaming {
  return {
    model: call.model ?? MODEL,
    messages: messagesOf(call),
    max_tokens: call.tokens,
    ...GREEDY,
  };
}

async function* anthropicMessages(call: Call): AsyncIterable<string> {
  const { messages } = anthropicAt(call);
  const { signal } = call;
  if (!call.stream) {
    const [block] = (await messages.create(messageOf(call), { signal })).content;
    yield block?.type === "text" ? block.text : "";
    return;
  }
  for await (const event of await messages.create({ ...messageOf(call), stream: true }, { signal })) {
    yield textIn(event);
  }
}

async function* anthropicHelper(call: Call): AsyncIterable<string> {
  const stream = anthropicAt(call).messages.stream(messageOf(call), { signal: call.signal });
  for await (const event of stream) yield textIn(event);
  await stream.finalMessage();
}

function textIn(event: Anthropic.RawMessageStreamEvent): string {
  return event.type === "content_block_delta" && event.delta.type === "text_delta" ? event.delta.text : "";
}

async function* aiSdk(call: Call): AsyncIterable<string> {
  const provider = createOpenAICompatible({ name: "sgnet", baseURL: `${call.url}/v1` });
  const model: LanguageModel = provider(call.model ?? MODEL);
  const asked = {
    model,
    prompt: call.prompt ?? "hello",
    maxOutputTokens: call.tokens,
    temperature: 0,
    maxRetries: 0,
    abortSignal: call.signal,
  };
  if (!call.stream) {
    yield (await generateText(asked)).text;
    return;
  }
  // The library tells errors as parts; without a listener it prints them too.
  for await (const part of streamText({ ...asked, onError: () => undefined }).stream) {
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new Error("aborted");
    if (part.type === "text-delta") yield part.text;
  }
}

/** The outcome of a call: the text so far, and the error thrown. */
export interface Outcome {
  readonly text: string;
  readonly error: unknown;
}

/** Runs a call to its end; `heard` is called with the text so far. Never rejects. */
export async function outcomeOf(
  client: Client,
  call: Call,
  heard?: (text: string) => void,
): Promise<Outcome> {
  let text = "";
  try {
    for await (const piece of client(call)) {
      text += piece;
      heard?.(text);
    }
    return { text, error: undefined };
  } catch (error) {
    return { text, error };
  }
}
