import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import type { NumCtxPolicy } from "../../core/num-ctx.ts";
import { asRead } from "../exact.ts";
import { isZero } from "./keep-alive.ts";

/**
 * Options that a runner of Ollama is started with: a request whose options differ from those of the loaded runner has
 * the model loaded anew. Rules of Ollama's scheduler (server/sched.go, needsReload): contexts must be equal, or neither
 * named; the others must be equal.
 */

export interface RunnerPolicy {
  readonly numCtx: NumCtxPolicy;
  /** A shorter `keep_alive` of others than admins is raised to this, ms; 0 raises none. */
  readonly keepAliveMinMs: number;
}

/** A runner that is loaded, or being loaded. */
export interface LoadedRunner {
  /** As it was asked for; undefined when its context is Ollama's own choice. */
  readonly numCtx: number | undefined;
  /** Tokens that it really has; undefined while unknown. */
  readonly tokens: number | undefined;
  /** The other options it was started with; undefined when this process did not see it start. */
  readonly launch: JsonObject | undefined;
}

export interface FitOptions {
  readonly policy: RunnerPolicy;
  readonly loaded: LoadedRunner | undefined;
  /** Tokens that the model was made for; 0 when unknown. */
  readonly most: number;
  /** The client may unload models. */
  readonly admin: boolean;
}

/** A request as it is to be sent. */
export interface Fitted {
  readonly body: JsonObject;
  /** The client's fields that were changed. */
  readonly dropped: readonly string[];
  /** The runner that answers it. */
  readonly runner: LoadedRunner;
}

/** Fields of `options` beside `num_ctx` that a runner is started with. */
const LAUNCH = ["num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread"] as const;

const KEEP_ALIVE = Buffer.from('"keep_alive"');
const OPTIONS = Buffer.from('"options"');
const OF_RUNNER: readonly Buffer[] = ["num_ctx", ...LAUNCH].map((name) => Buffer.from(`"${name}"`));

/**
 * True when a body may say something about its runner: a look without parsing. Most bodies have no options: two searches
 * take 0.5 us, one for each name took 3.
 */
export function mayTellRunner(body: Buffer | string): boolean {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  return (
    bytes.includes(KEEP_ALIVE) || (bytes.includes(OPTIONS) && OF_RUNNER.some((name) => bytes.includes(name)))
  );
}

/** True when a body may say how long its model stays. */
export function mayKeepAlive(body: Buffer): boolean {
  return body.includes(KEEP_ALIVE);
}

/** The request that the loaded runner can answer as it is, as far as the policy allows. */
export function fitRunner(body: JsonObject, options: FitOptions): Fitted {
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

/** A runner that suits stays as it is. */
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
  const value = asRead(given ?? null);
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

/** `num_ctx` as it is sent; nothing when none is. */
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

/** The next of a few sizes, so that clients with sizes of their own share a runner. */
function grown(asked: number, { policy: { numCtx }, most }: FitOptions): number {
  const step = STEPS.find((size) => size >= asked) ?? asked;
  // Ollama itself gives a runner no more than its model was made for, and yet loads it anew for each other number.
  const size = most > 0 ? Math.min(step, most) : step;
  return numCtx.kind === "cap" ? Math.min(size, numCtx.tokens) : size;
}

function keepAliveOf(said: Json | undefined, { policy, admin }: FitOptions): Json | undefined {
  const given = asRead(said ?? null);
  if (admin || (typeof given !== "number" && typeof given !== "string")) return said;
  const ms = keepAliveMs(given);
  return ms < 0 || ms >= policy.keepAliveMinMs ? said : policy.keepAliveMinMs / 1000;
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

/** Ms of a `keep_alive` that was checked; negative: for ever. */
export function keepAliveMs(keepAlive: number | string): number {
  if (typeof keepAlive === "number") return keepAlive * 1000;
  if (isZero(keepAlive)) return 0;
  const parts = keepAlive.replace(/^[-+]/, "").split(/(?<=[a-zµμ])(?=[\d.])/);
  const ms = parts.reduce((sum, part) => sum + Number.parseFloat(part) * unitMs(part), 0);
  return keepAlive.startsWith("-") ? -ms : ms;
}
