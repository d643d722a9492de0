import type { EndReason, Part, TokenLogprob } from "../../core/chat.ts";
import type { ToolCallObject } from "./tool-calls.ts";

export const NS_PER_MS = 1e6;

export type EndPart = Extract<Part, { type: "end" }>;

/** What one object of a reply says. */
export interface Content {
  readonly text: string;
  readonly thinking?: string | undefined;
  readonly toolCalls?: readonly ToolCallObject[] | undefined;
  readonly logprobs?: readonly TokenLogprob[] | undefined;
  readonly end?: EndPart | undefined;
  /** Ns from acceptance to now: stands in when the backend does not tell its own total. */
  readonly elapsed?: number | undefined;
}

/** JSON before and after the one string of a line that is written for every token. */
export type Frame = readonly [before: string, after: string];

/** How an endpoint lays out its objects. Keys are in the order of Ollama's structs; undefined ones are left out. */
export interface Layout {
  readonly text: Frame;
  readonly thinking: Frame;
  /** What follows `model` and `created_at`. */
  object(content: Content): object;
}

export const generateLayout: Layout = {
  text: [',"response":', ',"done":false}\n'],
  thinking: [',"response":"","thinking":', ',"done":false}\n'],
  object: ({ text, thinking, toolCalls, logprobs, end, elapsed }) => ({
    response: text,
    thinking: thinking || undefined,
    ...done(end),
    context: end?.context,
    ...metrics(end, elapsed),
    tool_calls: toolCalls,
    logprobs: logprobs?.map(wireLogprob),
  }),
};

export const chatLayout: Layout = {
  text: [',"message":{"role":"assistant","content":', '},"done":false}\n'],
  thinking: [',"message":{"role":"assistant","content":"","thinking":', '},"done":false}\n'],
  object: ({ text, thinking, toolCalls, logprobs, end, elapsed }) => ({
    message: {
      role: "assistant",
      content: text,
      thinking: thinking || undefined,
      tool_calls: toolCalls,
    },
    ...done(end),
    logprobs: logprobs?.map(wireLogprob),
    ...metrics(end, elapsed),
  }),
};

function done(end: EndPart | undefined): object {
  return end === undefined ? { done: false } : { done: true, done_reason: doneReason(end.reason) };
}

/** Ollama never says "tool_calls". It has no word for a filter: "stop" would make a part look like the whole. */
function doneReason(reason: EndReason): string {
  switch (reason) {
    case "length":
    case "load":
    case "unload":
      return reason;
    case "content-filter":
      return "content_filter";
    case "stop":
    case "tool-calls":
      return "stop";
  }
}

/** Tokens and ns; what is 0 or unknown is left out, and all of it where nothing was generated. */
function metrics(end: EndPart | undefined, elapsed: number | undefined): object | undefined {
  if (end === undefined || end.reason === "load" || end.reason === "unload") return undefined;
  const { usage, timings } = end;
  return {
    total_duration: count(timings?.total ?? elapsed),
    load_duration: count(timings?.load),
    prompt_eval_count: count(usage?.promptTokens),
    prompt_eval_cached_count: count(usage?.cachedTokens),
    prompt_eval_duration: count(timings?.promptEval),
    eval_count: count(usage?.completionTokens),
    eval_duration: count(timings?.eval),
  };
}

/** A count as Ollama shows it: whole, and left out when it is 0 or unknown. */
export function count(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value) || undefined;
}

function wireLogprob({ token, logprob, bytes, top }: TokenLogprob): object {
  const alternatives = top === undefined || top.length === 0 ? undefined : top.map(wireLogprob);
  return { token, logprob, bytes: bytes ?? undefined, top_logprobs: alternatives };
}
