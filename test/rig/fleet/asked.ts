import assert from "node:assert/strict";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { standInText } from "../backends/stand-in.ts";
import type { Program } from "./program.ts";
import { MODEL } from "./fleet.ts";

/** Client library and endpoint of a request. */
export type Way = "ollama-chat" | "ollama-generate" | "openai-chat";

export const WAYS: readonly Way[] = ["ollama-chat", "ollama-generate", "openai-chat"];

export interface Question {
  readonly way: Way;
  readonly stream: boolean;
  /** Length of the answer. */
  readonly tokens: number;
  readonly prompt?: string;
  readonly model?: string;
}

/** One question to a gateway, and what its client has been told so far. Nothing here rejects. */
export class Asked {
  readonly question: Question;
  readonly askedAt: number = performance.now();
  /** Resolves when the client library is through, with or without an error. */
  readonly done: Promise<void>;
  text = "";
  /** The error that the client library threw. */
  error: unknown;
  /** Set when the client library says so. */
  reason: string | undefined;
  completionTokens: number | undefined;
  over = false;
  /** Mono ms. */
  endedAt = 0;
  readonly #leave = new AbortController();

  constructor(gateway: Program, question: Question) {
    this.question = question;
    this.done = this.#run(gateway);
  }

  /** Tokens told so far. */
  get tokens(): number {
    return this.text.split(" ").length - 1;
  }

  get totalMs(): number {
    return this.endedAt - this.askedAt;
  }

  /** Hangs up, as a client that is closed does. */
  leave(): void {
    this.#leave.abort();
  }

  async #run(gateway: Program): Promise<void> {
    try {
      if (this.question.way === "openai-chat") await this.#askOpenai(gateway);
      else await this.#askOllama(gateway);
    } catch (error) {
      this.error = error;
    } finally {
      this.over = true;
      this.endedAt = performance.now();
    }
  }

  async #askOllama(gateway: Program): Promise<void> {
    const { signal } = this.#leave;
    const client = new Ollama({
      host: gateway.url,
      fetch: (input, init) => {
        const signals = [signal, ...(init?.signal ? [init.signal] : [])];
        return fetch(input, { ...init, signal: AbortSignal.any(signals) });
      },
    });
    const { way, stream, tokens, prompt = "hello", model = MODEL } = this.question;
    const common = { model, options: { num_predict: tokens, temperature: 0 } };
    const chat = { ...common, messages: [{ role: "user", content: prompt }] };
    if (way === "ollama-chat" && stream) {
      for await (const part of await client.chat({ ...chat, stream }))
        this.#heard(part.message.content, part);
    } else if (way === "ollama-chat") {
      const part = await client.chat(chat);
      this.#heard(part.message.content, part);
    } else if (stream) {
      for await (const part of await client.generate({ ...common, prompt, stream })) {
        this.#heard(part.response, part);
      }
    } else {
      const part = await client.generate({ ...common, prompt });
      this.#heard(part.response, part);
    }
  }

  #heard(text: string | undefined, part: { done: boolean; done_reason?: string; eval_count: number }): void {
    this.text += text ?? "";
    if (!part.done) return;
    this.reason = part.done_reason ?? "";
    this.completionTokens = part.eval_count;
  }

  async #askOpenai(gateway: Program): Promise<void> {
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
    const { stream, tokens, prompt = "hello", model = MODEL } = this.question;
    const body = {
      model,
      messages: [{ role: "user" as const, content: prompt }],
      max_tokens: tokens,
      temperature: 0,
    };
    const { signal } = this.#leave;
    if (!stream) {
      const reply = await client.chat.completions.create(body, { signal });
      this.text = reply.choices[0]?.message.content ?? "";
      this.reason = reply.choices[0]?.finish_reason;
      this.completionTokens = reply.usage?.completion_tokens;
      return;
    }
    const usage = { stream: true as const, stream_options: { include_usage: true } };
    for await (const chunk of await client.chat.completions.create({ ...body, ...usage }, { signal })) {
      this.text += chunk.choices[0]?.delta.content ?? "";
      this.reason = chunk.choices[0]?.finish_reason ?? this.reason;
      this.completionTokens = chunk.usage?.completion_tokens ?? this.completionTokens;
    }
  }
}

/** Asks the same in all ways given, streamed or not. */
export function askAll(
  gateway: Program,
  ways: readonly Way[],
  question: Omit<Question, "way">,
): readonly Asked[] {
  return ways.map((way) => new Asked(gateway, { ...question, way }));
}

export async function allDone(asked: readonly Asked[]): Promise<void> {
  await Promise.all(asked.map((one) => one.done));
}

/** The answer is whole: every token once, in order, and a proper end. */
export function assertAnswered(asked: Asked): void {
  const { question, error, text, reason, completionTokens } = asked;
  const about = `${question.way}, ${question.stream ? "stream" : "whole"}`;
  assert.equal(error, undefined, `${about}: ${String(error)}`);
  assert.equal(text, standInText(question.tokens), about);
  assert.ok(reason === "stop" || reason === "length", `${about}: ended with ${reason}`);
  assert.equal(completionTokens, question.tokens, about);
}

/** Checks that the client got an error after some right tokens, and nothing after it. */
export function assertBrokenOff(asked: Asked): void {
  const { question, error, text, tokens } = asked;
  assert.ok(error instanceof Error, `${question.way}: no error after ${tokens} tokens`);
  assert.ok(tokens > 0 && tokens < question.tokens, `${question.way}: ${tokens} tokens`);
  assert.equal(text, standInText(tokens), question.way);
}

/** The client got nothing but an error with this status. */
export function assertRefused(asked: Asked, status: number): void {
  const { question, error, text } = asked;
  assert.ok(error instanceof Error, `${question.way}: no error, but "${text}"`);
  assert.equal(statusOf(error), status, `${question.way}: ${error.message}`);
  assert.equal(text, "", question.way);
}

/** Either a whole answer or an error, never a clean end of something else. */
export function assertDefinite(asked: Asked): void {
  if (asked.error === undefined) assertAnswered(asked);
  else assert.equal(asked.text, standInText(asked.tokens), asked.question.way);
}

/** The HTTP status in an error of either client library. */
export function statusOf(error: Error): number | undefined {
  const { status, status_code: code } = error as { status?: number; status_code?: number };
  return status ?? code;
}
