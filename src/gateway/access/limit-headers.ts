import { isoTime } from "../../core/iso-time.ts";
import type { Dialect } from "../../core/task.ts";
import type { Headers } from "../http/http.ts";
import type { LimitState } from "./limit-check.ts";

/** One limit as a group of headers tells it. */
type Shown = Omit<LimitState, "limit">;

/**
 * Returns the headers that tell a client of a dialect about its limits. Empty without limits, and in Ollama's API, which
 * has none. A key and its tenant may have limits of one kind: the one with fewer units left counts.
 *
 * `tokens` is the limit of input or of output tokens with the smaller share left: it is the next to refuse.
 * @param now ms since 1970
 */
export function limitHeaders(dialect: Dialect, states: readonly LimitState[], now: number): Headers {
  if (states.length === 0 || dialect === "ollama") return NONE;
  const requests = tightest(states, "requests");
  const input = tightest(states, "inputTokens");
  const output = tightest(states, "outputTokens");
  const tokens = smallerShare(input, output);
  return dialect === "openai"
    ? openaiHeaders(requests, tokens)
    : anthropicHeaders({ requests, tokens, "input-tokens": input, "output-tokens": output }, now);
}

const NONE: Headers = [];

function tightest(states: readonly LimitState[], limit: LimitState["limit"]): Shown | undefined {
  let found: LimitState | undefined;
  for (const state of states)
    if (state.limit === limit && (found === undefined || state.remaining < found.remaining)) found = state;
  return found;
}

function smallerShare(one: Shown | undefined, other: Shown | undefined): Shown | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const [share, others] = [one, other].map(({ remaining, perMinute }) => remaining / perMinute);
  return (others ?? 0) < (share ?? 0) ? other : one;
}

/** In the order of OpenAI's service. */
function openaiHeaders(requests: Shown | undefined, tokens: Shown | undefined): Headers {
  const groups = Object.entries({ requests, tokens }).flatMap(([unit, state]) =>
    state === undefined ? [] : [{ unit, state }],
  );
  return [
    ...groups.map(({ unit, state }) => [`x-ratelimit-limit-${unit}`, String(state.perMinute)] as const),
    ...groups.map(({ unit, state }) => [`x-ratelimit-remaining-${unit}`, unitsOf(state)] as const),
    ...groups.map(({ unit, state }) => [`x-ratelimit-reset-${unit}`, durationText(state.resetMs)] as const),
  ];
}

/** In the order of Anthropic's service. */
function anthropicHeaders(groups: Readonly<Record<string, Shown | undefined>>, now: number): Headers {
  return Object.entries(groups).flatMap(([unit, state]): Headers => {
    if (state === undefined) return [];
    const name = `anthropic-ratelimit-${unit}`;
    return [
      [`${name}-limit`, String(state.perMinute)],
      [`${name}-remaining`, unitsOf(state)],
      [`${name}-reset`, timeText(now + state.resetMs)],
    ];
  });
}

/** Whole units. A request with a low estimate may have brought them below 0. */
function unitsOf({ remaining }: Shown): string {
  return String(Math.max(0, Math.floor(remaining)));
}

/** A duration as OpenAI's service writes it: `0s`, `120ms`, `8.64s`, `6m0s`, `1h0m0s`. Rounded up to ms. */
export function durationText(ms: number): string {
  const whole = Math.max(0, Math.ceil(ms));
  if (whole === 0) return "0s";
  if (whole < 1000) return `${whole}ms`;
  const seconds = `${(whole % 60_000) / 1000}s`;
  const minutes = Math.floor(whole / 60_000);
  if (minutes === 0) return seconds;
  return minutes < 60 ? `${minutes}m${seconds}` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

/** A time as Anthropic's service writes it, in RFC 3339: whole seconds, rounded up. @param time ms since 1970 */
function timeText(time: number): string {
  return isoTime(Math.ceil(time / 1000) * 1000).replace(".000Z", "Z");
}
