import type { End, EndReason, TokenLogprob } from "../../core/chat.ts";
import type { ToolCallObject } from "./tool-calls.ts";

export const NS_PER_MS = 1e6;

/** The content of one object of a reply. */
export interface LineContent {
  readonly text: string;
  readonly thinking?: string | undefined;
  readonly toolCalls?: readonly ToolCallObject[] | undefined;
  readonly logprobs?: readonly TokenLogprob[] | undefined;
  readonly end?: End | undefined;
  /** Ns since acceptance, used when the backend reports no total. */
  readonly elapsed?: number | undefined;
}

/** The JSON around the one text of a token's line. */
type LineFrame = readonly [before: string, after: string];

/** The object layout of an endpoint. Keys follow the order of Ollama's structs; undefined ones are omitted. */
export interface Layout {
  readonly text: LineFrame;
  readonly thinking: LineFrame;
  /** The fields behind `model` and `created_at`. */
  object(content: LineContent): object;
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

function done(end: End | undefined): object {
  return end === undefined ? { done: false } : { done: true, done_reason: doneReason(end.reason) };
}

/** Ollama has no "tool_calls" and no word for a filter. "stop" would make a filtered answer look complete. */
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

/** Tokens and ns. Values of 0 are omitted, and all of them after a load. */
function metrics(end: End | undefined, elapsed: number | undefined): object | undefined {
  if (end === undefined || end.reason === "load" || end.reason === "unload") return undefined;
  const { usage, timings } = end;
  return {
    total_duration: countOrOmit(timings?.total ?? elapsed),
    load_duration: countOrOmit(timings?.load),
    prompt_eval_count: countOrOmit(usage?.promptTokens),
    prompt_eval_cached_count: countOrOmit(usage?.cachedTokens),
    prompt_eval_duration: countOrOmit(timings?.promptEval),
    eval_count: countOrOmit(usage?.completionTokens),
    eval_duration: countOrOmit(timings?.eval),
  };
}

/** A count as Ollama writes it: an integer, omitted when 0 or unknown. */
export function countOrOmit(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.round(value) || undefined;
}

function wireLogprob({ token, logprob, bytes, top }: TokenLogprob): object {
  const alternatives = top === undefined || top.length === 0 ? undefined : top.map(wireLogprob);
  return { token, logprob, bytes: bytes ?? undefined, top_logprobs: alternatives };
}
