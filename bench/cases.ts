/** The measured cases: the load of each, and the figures taken from it. */
import type { LoadSpec } from "./load-spec.ts";
import {
  CPU_PER_REQUEST,
  CPU_PER_TOKEN,
  FIRST_TOKEN,
  GAP,
  LATENCY,
  REQUESTS,
  RSS,
  TOKENS,
} from "./metrics.ts";
import type { Metric } from "./metrics.ts";
import { BURST, FIRST, INSTANT, OPEN, SHORT, STREAM, durationMs } from "./profiles.ts";
import type { Profile } from "./profiles.ts";

/** One load. */
export interface BenchCase {
  readonly name: string;
  readonly title: string;
  readonly profile: Profile;
  readonly stream: boolean;
  readonly clients: number;
  /** Time over which the clients start; default: the length of a reply, so that replies begin and end all the time. */
  readonly rampMs?: number;
  readonly metrics: readonly Metric[];
}

/** Which API the load speaks. */
export type LoadDialect = "ollama" | "openai";

/** All are open long before the first one ends: only tokens are in the window, no new requests. */
const OPEN_RAMP_MS = 6000;
const WARM_MS = 300;
const DRAIN_EXTRA_MS = 15_000;

/** Requests per second of whole answers. */
function whole(clients: number): BenchCase {
  const title = `M1 whole answers, ${clients} clients`;
  const metrics = [REQUESTS, ...LATENCY, ...CPU_PER_REQUEST];
  return { name: `m1-${clients}`, title, profile: INSTANT, stream: false, clients, metrics };
}

/** Replies whose lines all come at once. */
function burst(clients: number): BenchCase {
  const title = `burst of ${BURST.tokens} lines, ${clients} clients`;
  const metrics = [TOKENS, ...CPU_PER_TOKEN];
  return { name: `burst-${clients}`, title, profile: BURST, stream: true, clients, metrics };
}

/** Many streams at the pace of real models. */
function streams(clients: number, profile: Profile): BenchCase {
  const offered = Math.round((clients * profile.tokens * 1000) / durationMs(profile));
  const title = `M2 ${clients} streams, ${offered.toLocaleString("en")} tokens/s offered`;
  const metrics = [TOKENS, ...GAP, ...CPU_PER_TOKEN, RSS];
  return { name: `m2-${clients}`, title, profile, stream: true, clients, metrics };
}

/** The same tokens per second over more and more streams; undefined for a number without a pace. */
function openStreams(clients: number): BenchCase | undefined {
  const profile = OPEN.get(clients);
  return profile === undefined
    ? undefined
    : { ...streams(clients, profile), name: `open-${clients}`, rampMs: OPEN_RAMP_MS };
}

/** Time to the first token. */
function firstToken(clients: number): BenchCase {
  const title = `M3 first token, ${clients} ${clients === 1 ? "client" : "clients"}`;
  return { name: `m3-${clients}`, title, profile: FIRST, stream: true, clients, metrics: FIRST_TOKEN };
}

/** Makes the case of a kind for a number of clients. */
const KINDS: Readonly<Record<string, (clients: number) => BenchCase | undefined>> = {
  m1: whole,
  burst,
  m2: (clients) => streams(clients, STREAM),
  m3: firstToken,
  open: openStreams,
};

/** The cases of a full run. */
export const FULL_CASES: readonly string[] = [
  "m1-64",
  "m1-256",
  "burst-64",
  "m2-500",
  "m2-1000",
  "m2-5000",
  "m3-1",
  "m3-8",
];

/**
 * The case of that name: its kind and any number of clients, as in `m2-1000`.
 *
 * @returns undefined when there is no such kind or number
 */
export function caseNamed(name: string): BenchCase | undefined {
  const [, kind = "", clients = ""] = /^([a-z]\w*)-([1-9]\d*)$/.exec(name) ?? [];
  return Object.hasOwn(KINDS, kind) ? KINDS[kind]?.(Number(clients)) : undefined;
}

/** The cases of a run of seconds, for CI. */
export function quickCases(): readonly BenchCase[] {
  return [whole(64), burst(64), streams(50, SHORT), firstToken(1)];
}

/** Tokens per second that a case's clients would take from an unhindered backend; undefined when it has no pace. */
export function offeredTokens(benchCase: BenchCase): number | undefined {
  const ms = durationMs(benchCase.profile);
  return benchCase.profile.firstMs === 0
    ? undefined
    : (benchCase.clients * benchCase.profile.tokens * 1000) / ms;
}

/** A chat request, and how to know its reply's end. */
export interface ChatRequest {
  readonly path: string;
  /** JSON. */
  readonly body: string;
  /** Text that must follow the last token. */
  readonly endMark: string;
}

/** The request that asks `model` this one thing through an API. */
export function chatRequest(
  dialect: LoadDialect,
  asked: { readonly model: string; readonly stream: boolean; readonly text: string },
): ChatRequest {
  const { model, stream, text } = asked;
  return {
    path: dialect === "ollama" ? "/api/chat" : "/v1/chat/completions",
    body: JSON.stringify({ model, messages: [{ role: "user", content: text }], stream }),
    endMark: endMark(dialect, stream),
  };
}

/** The bytes of an HTTP request that posts JSON to a port of this machine. @param key API key; none when absent */
export function postBytes(port: number, path: string, body: string, key?: string): Buffer {
  const credentials = key === undefined ? "" : `Authorization: Bearer ${key}\r\n`;
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n${credentials}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The load of a case. The caller chooses the loaded process and the processes whose CPU is read. */
export function loadSpec(
  benchCase: BenchCase,
  dialect: LoadDialect,
  windowMs: number,
): Omit<LoadSpec, "port" | "pids"> {
  const { profile, stream, clients } = benchCase;
  return {
    ...chatRequest(dialect, { model: profile.model, stream, text: "Why is the sky blue?" }),
    tokens: profile.tokens,
    clients,
    rampMs: benchCase.rampMs ?? durationMs(profile),
    warmMs: WARM_MS,
    windowMs,
    drainMs: durationMs(profile) + DRAIN_EXTRA_MS,
  };
}

function endMark(dialect: LoadDialect, stream: boolean): string {
  if (dialect === "ollama") return '"done":true';
  return stream ? "[DONE]" : '"finish_reason":"stop"';
}
