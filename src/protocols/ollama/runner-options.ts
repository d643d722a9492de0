import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import type { NumCtxPolicy } from "../../core/num-ctx.ts";
import { toNumber } from "../lossless-json.ts";
import { isImmediateUnload } from "./keep-alive.ts";

/**
 * Options that a runner of Ollama is started with. A request with other options makes Ollama reload the model.
 * Ollama's scheduler (server/sched.go, needsReload) compares them: contexts must be equal or both unset, the other
 * options must be equal.
 */

export interface RunnerPolicy {
  readonly numCtx: NumCtxPolicy;
  /** Least `keep_alive` of clients without an admin key, ms. 0 sets no minimum. */
  readonly keepAliveMinMs: number;
}

/** A runner that is loaded or loading. */
export interface LoadedRunner {
  /** The requested context; undefined when Ollama chose it. */
  readonly numCtx: number | undefined;
  /** The actual context (tokens); undefined while unknown. */
  readonly tokens: number | undefined;
  /** The other start options; undefined when this process did not see the start. */
  readonly launch: JsonObject | undefined;
}

export interface FitOptions {
  readonly policy: RunnerPolicy;
  readonly loaded: LoadedRunner | undefined;
  /** The model's largest context (tokens); 0 when unknown. */
  readonly most: number;
  /** True when the client may unload models. */
  readonly admin: boolean;
}

/** A request as it is sent. */
interface RunnerRequest {
  readonly body: JsonObject;
  /** The client's fields that were changed. */
  readonly dropped: readonly string[];
  /** The runner that answers it. */
  readonly runner: LoadedRunner;
}

/** Fields of `options` that a runner is started with, beside `num_ctx`. */
const LAUNCH = ["num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"] as const;

const KEEP_ALIVE = Buffer.from('"keep_alive"');
const OPTIONS = Buffer.from('"options"');
const OF_RUNNER: readonly Buffer[] = ["num_ctx", ...LAUNCH].map((name) => Buffer.from(`"${name}"`));

/**
 * True when a body may have options of its runner, without parsing it. Most bodies have no options: two searches take
 * 0.5 us, one per name took 3 us.
 */
export function mayHaveRunnerOptions(body: Buffer | string): boolean {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return (
    bytes.includes(KEEP_ALIVE) || (bytes.includes(OPTIONS) && OF_RUNNER.some((name) => bytes.includes(name)))
  );
}

/** True when a body may have a `keep_alive`. */
export function mayHaveKeepAlive(body: Buffer): boolean {
  return body.includes(KEEP_ALIVE);
}

/** Adapts a request to the loaded runner, as far as the policy allows. */
export function fitToRunner(body: JsonObject, options: FitOptions): RunnerRequest {
  const { policy, loaded } = options;
  const given = isObject(body["options"]) ? body["options"] : {};
  const kept = keepAliveOf(body["keep_alive"], options);
  const context = contextOf(given["num_ctx"], options);
  const launch = policy.numCtx.kind === "pass" ? launchOf(given) : (loaded?.launch ?? launchOf(given));
  const sent = { ...without(given, LAUNCH), ...launch, ...context };
  const names = ["num_ctx", ...LAUNCH].filter((name) => isChanged(given[name], sent[name]));
  const isSame = names.length === 0 && Object.entries(sent).every(([name, value]) => given[name] === value);
  const numCtx = numberOf(sent["num_ctx"]);
  return {
    body: {
      ...body,
      ...(isSame ? {} : { options: sent }),
      ...(kept === body["keep_alive"] ? {} : { keep_alive: kept }),
    },
    dropped: [...names, ...(kept === body["keep_alive"] ? [] : ["keep_alive"])],
    runner: runnerFor(numCtx, launch, loaded),
  };
}

/** Returns the loaded runner when it matches. */
function runnerFor(
  numCtx: number | undefined,
  launch: JsonObject,
  loaded: LoadedRunner | undefined,
): LoadedRunner {
  const suits =
    loaded !== undefined &&
    (numCtx === loaded.numCtx || (numCtx !== undefined && numCtx === loaded.tokens)) &&
    loaded.launch !== undefined &&
    JSON.stringify(loaded.launch) === JSON.stringify(launch);
  return suits ? loaded : { numCtx, tokens: undefined, launch };
}

function isChanged(given: Json | undefined, sent: Json | undefined): boolean {
  return given !== undefined && given !== null && given !== sent;
}

function numberOf(given: Json | undefined): number | undefined {
  const value = toNumber(given ?? null);
  return typeof value === "number" && value > 0 && Number.isFinite(value) ? Math.trunc(value) : undefined;
}

function launchOf(given: JsonObject): JsonObject {
  const entries = LAUNCH.flatMap((name) => {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    return value === undefined || value === null ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}

function without(given: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name)));
}

/** The `num_ctx` to send; empty for none. */
function contextOf(given: Json | undefined, options: FitOptions): JsonObject {
  const { policy, loaded } = options;
  const asked = numberOf(given);
  const { numCtx } = policy;
  if (numCtx.kind === "pin") return { num_ctx: numCtx.tokens };
  if (numCtx.kind === "pass") return asked === undefined ? {} : { num_ctx: asked };
  const wanted = asked === undefined ? undefined : grown(asked, options);
  const there = loaded?.numCtx ?? (wanted === undefined ? undefined : loaded?.tokens);
  if (there === undefined) return wanted === undefined ? {} : { num_ctx: wanted };
  return { num_ctx: Math.max(there, wanted ?? 0) };
}

const KI = 1024;
const STEPS: readonly number[] = [4, 8, 16, 32, 64, 128].map((step) => step * KI);

/** Rounds a context up to one of a few sizes, so that clients share a runner. */
function grown(asked: number, { policy: { numCtx }, most }: FitOptions): number {
  const step = STEPS.find((size) => size >= asked) ?? asked;
  // Ollama caps the context at the model's own, but reloads for each different number.
  const size = most > 0 ? Math.min(step, most) : step;
  return numCtx.kind === "cap" ? Math.min(size, numCtx.tokens) : size;
}

function keepAliveOf(requested: Json | undefined, { policy, admin }: FitOptions): Json | undefined {
  const given = toNumber(requested ?? null);
  if (admin || (typeof given !== "number" && typeof given !== "string")) return requested;
  const ms = keepAliveMs(given);
  return ms < 0 || ms >= policy.keepAliveMinMs ? requested : policy.keepAliveMinMs / 1000;
}

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["μs", 1e-3],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** Ms of the unit behind a number. */
function unitMs(part: string): number {
  return UNIT_MS.get(part.replaceAll(/[\d.]/g, "")) ?? 0;
}

/** Ms of a checked `keep_alive`; negative: without end. */
export function keepAliveMs(keepAlive: number | string): number {
  if (typeof keepAlive === "number") return keepAlive * 1000;
  if (isImmediateUnload(keepAlive)) return 0;
  const parts = keepAlive.replace(/^[-+]/, "").split(/(?<=[a-zµμ])(?=[\d.])/);
  const ms = parts.reduce((sum, part) => sum + Number.parseFloat(part) * unitMs(part), 0);
  return keepAlive.startsWith("-") ? -ms : ms;
}
