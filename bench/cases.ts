/** What is measured: the load of each case, and the figures taken from it. */
import type { LoadReport, LoadSpec } from "./load-spec.ts";
import { BURST, FIRST, INSTANT, SHORT, STREAM, durationMs } from "./profiles.ts";
import type { Profile } from "./profiles.ts";

/** One row of the table. */
export interface Metric {
  readonly label: string;
  readonly digits: number;
  /** The figure of one measurement; undefined where it has no meaning (cost of no process). */
  readonly of: (report: LoadReport) => number | undefined;
  /** Also shown as what each way adds to the direct one of the same round. */
  readonly added?: boolean;
  /** Says nothing as a ratio of two ways. */
  readonly alone?: boolean;
}

/** One load. */
export interface BenchCase {
  readonly name: string;
  readonly title: string;
  readonly profile: Profile;
  readonly stream: boolean;
  readonly clients: number;
  readonly metrics: readonly Metric[];
}

/** Which API the load speaks. */
export type LoadDialect = "ollama" | "openai";

const WARM_MS = 300;
const DRAIN_EXTRA_MS = 4000;

const REQUESTS: Metric = { label: "requests/s", digits: 0, of: (report) => report.requests / report.seconds };
const TOKENS: Metric = { label: "tokens/s", digits: 0, of: (report) => report.tokens / report.seconds };
const RSS: Metric = { label: "RSS MB", digits: 0, of: (report) => ofSystem(report, ({ rssMb }) => rssMb) };
const LATENCY: readonly Metric[] = [
  { label: "latency p50 ms", digits: 2, of: (report) => report.latency.p50 / 1000 },
  { label: "latency p99 ms", digits: 2, of: (report) => report.latency.p99 / 1000 },
];
const GAP: readonly Metric[] = [
  { label: "gap p50 ms", digits: 1, of: (report) => report.gap.p50 / 1000 },
  { label: "gap p99 ms", digits: 1, of: (report) => report.gap.p99 / 1000 },
];
const FIRST_TOKEN: readonly Metric[] = [
  { label: "first token p50 µs", digits: 0, of: (report) => report.first.p50, added: true },
  { label: "first token p99 µs", digits: 0, of: (report) => report.first.p99, added: true },
];
const CPU_PER_REQUEST: Metric = {
  label: "CPU µs/request",
  digits: 0,
  of: (report) => per(cpuOf(report), report.requests),
};
const CPU_PER_TOKEN: Metric = {
  label: "CPU s/1M tokens",
  digits: 1,
  of: (report) => per(cpuOf(report), report.tokens),
};

/** What else ran on the machine: the larger, the less the other figures mean. */
export const OTHERS: Metric = {
  label: "CPUs busy with other work",
  digits: 2,
  alone: true,
  of: (report) => report.othersCpuS / report.seconds,
};

function ofSystem(
  report: LoadReport,
  take: (expense: { cpuS: number; rssMb: number }) => number,
): number | undefined {
  const system = Object.entries(report.expenses).filter(([role]) => role !== "load" && role !== "backend");
  return system.length === 0 ? undefined : system.reduce((sum, [, expense]) => sum + take(expense), 0);
}

function cpuOf(report: LoadReport): number | undefined {
  return ofSystem(report, ({ cpuS }) => cpuS);
}

function per(cpuS: number | undefined, count: number): number | undefined {
  return cpuS === undefined || count === 0 ? undefined : (cpuS * 1e6) / count;
}

/** Requests per second of whole answers. */
function whole(clients: number): BenchCase {
  const title = `M1 whole answers, ${clients} clients`;
  const metrics = [REQUESTS, ...LATENCY, CPU_PER_REQUEST];
  return { name: `m1-${clients}`, title, profile: INSTANT, stream: false, clients, metrics };
}

/** Replies whose lines all come at once. */
function burst(clients: number): BenchCase {
  const title = `burst of ${BURST.tokens} lines, ${clients} clients`;
  const metrics = [TOKENS, CPU_PER_TOKEN];
  return { name: `burst-${clients}`, title, profile: BURST, stream: true, clients, metrics };
}

/** Many streams at the pace of real models. */
function streams(clients: number, profile: Profile): BenchCase {
  const offered = Math.round((clients * profile.tokens * 1000) / durationMs(profile));
  const title = `M2 ${clients} streams, ${offered.toLocaleString("en")} tokens/s offered`;
  const metrics = [TOKENS, ...GAP, CPU_PER_TOKEN, RSS];
  return { name: `m2-${clients}`, title, profile, stream: true, clients, metrics };
}

/** Time to the first token. */
function firstToken(clients: number): BenchCase {
  const title = `M3 first token, ${clients} ${clients === 1 ? "client" : "clients"}`;
  return { name: `m3-${clients}`, title, profile: FIRST, stream: true, clients, metrics: FIRST_TOKEN };
}

/** The cases of a full run. */
export function fullCases(streamCount: number): readonly BenchCase[] {
  return [whole(64), whole(256), burst(64), streams(streamCount, STREAM), firstToken(1)];
}

/** The cases of a run of seconds, for CI. */
export function quickCases(): readonly BenchCase[] {
  return [whole(64), burst(8), streams(50, SHORT), firstToken(1)];
}

/** Tokens per second that a case's clients would take from an unhindered backend; undefined when it has no pace. */
export function offeredTokens(benchCase: BenchCase): number | undefined {
  const ms = durationMs(benchCase.profile);
  return benchCase.profile.firstMs === 0
    ? undefined
    : (benchCase.clients * benchCase.profile.tokens * 1000) / ms;
}

/** The load of a case; who is loaded, and whose CPU is read, is for the caller to say. */
export function loadSpec(
  benchCase: BenchCase,
  dialect: LoadDialect,
  windowMs: number,
): Omit<LoadSpec, "port" | "pids"> {
  const { profile, stream, clients } = benchCase;
  const body = {
    model: profile.model,
    messages: [{ role: "user", content: "Why is the sky blue?" }],
    stream,
  };
  return {
    path: dialect === "ollama" ? "/api/chat" : "/v1/chat/completions",
    body: JSON.stringify(body),
    tokens: profile.tokens,
    endMark: endMark(dialect, stream),
    clients,
    rampMs: durationMs(profile),
    warmMs: WARM_MS,
    windowMs,
    drainMs: durationMs(profile) + DRAIN_EXTRA_MS,
  };
}

function endMark(dialect: LoadDialect, stream: boolean): string {
  if (dialect === "ollama") return '"done":true';
  return stream ? "[DONE]" : '"finish_reason":"stop"';
}
