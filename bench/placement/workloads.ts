/** The workloads of docs/performance.md, "Placement". */
import { USUAL_ENGINE, USUAL_MODEL, usualModels } from "../engine/spec.ts";
import type { EngineSpec } from "../engine/spec.ts";
import { readTrace } from "./trace.ts";
import type { TraceRow } from "./trace.ts";
import { closedClients, steadyArrivals, zipfClients } from "./traffic.ts";
import type { PlannedRequest, Source, TimedArrivals } from "./traffic.ts";
import type { WayName } from "./ways.ts";

/** One load on one way. */
export interface LegPlan {
  /** Names it in tables. */
  readonly name: string;
  readonly way: WayName;
  /** Differences of its engine from that of the workload. */
  readonly engine?: Partial<EngineSpec>;
  readonly sources: () => readonly Source[];
}

/** A workload. */
export interface Workload {
  readonly name: string;
  readonly title: string;
  readonly engine: EngineSpec;
  /** Models that the engine has room for at once. */
  readonly places: number;
  readonly windowMs: number;
  readonly legs: readonly LegPlan[];
}

/** Share of the full length of a run. */
export interface Scale {
  readonly quick: boolean;
}

function onAllWays(sources: () => readonly Source[]): readonly LegPlan[] {
  return (["direct", "first come", "placed"] as const).map((way) => ({ name: way, way, sources }));
}

/** Directly to an engine that lets requests for loaded models overtake. */
function directOvertaking(sources: () => readonly Source[]): LegPlan {
  return { name: "direct, overtaking", way: "direct", engine: { overtaking: true }, sources };
}

function askFor(model: string, change: Partial<PlannedRequest> = {}): PlannedRequest {
  return { model, tokens: USUAL_MODEL.tokens, promptTokens: 8, ...change };
}

const seconds = (count: number): number => count * 1000;

/** 12 clients for each of two models that do not fit together. */
function twoModels({ quick }: Scale, overtaking: boolean): Workload {
  const models = usualModels(2);
  const sources = (): readonly Source[] => models.flatMap(({ name }) => closedClients(12, askFor(name)));
  return {
    name: overtaking ? "p1-overtaking" : "p1",
    title: overtaking
      ? "P1 on an engine that lets requests for the loaded model overtake (Ollama since 0.11.5)"
      : "P1: two models, one place, 12 clients for each",
    engine: { ...USUAL_ENGINE, models, overtaking },
    places: 1,
    windowMs: seconds(quick ? 12 : 30),
    legs: onAllWays(sources),
  };
}

/**
 * 20 clients of one model, and one request each 3 s for another; and the 20 without the other.
 * @param isShort loads so short that swaps cost little: with the usual ones, no policy that keeps to the rare model's
 * bound can leave the busy one 90 %
 */
function rareModel({ quick }: Scale, isShort: boolean): Workload {
  const models = usualModels(2, isShort ? { loadMs: 50 } : {});
  const tokens = isShort ? 2 : USUAL_MODEL.tokens;
  const [busy = "", rare = ""] = models.map(({ name }) => name);
  const windowMs = seconds(isShort ? 10 : quick ? 12 : 30);
  const alone = (): readonly Source[] => closedClients(20, askFor(busy, { tokens }));
  const both = (): readonly Source[] => [
    ...alone(),
    steadyArrivals(askFor(rare, { tokens }), 3000, windowMs),
  ];
  return {
    name: isShort ? "p2-short" : "p2",
    title: isShort
      ? "P2 with loads of 50 ms and answers of 50 ms"
      : "P2: 20 clients of one model, one request per 3 s of another, one place",
    engine: { ...USUAL_ENGINE, models },
    places: 1,
    windowMs,
    legs: [...onAllWays(both), { name: "busy alone", way: "placed", sources: alone }],
  };
}

function fiveModels({ quick }: Scale): Workload {
  const models = usualModels(5);
  const asks = models.map(({ name }) => askFor(name));
  const sources = (): readonly Source[] => zipfClients(14, asks, 7);
  return {
    name: "p3",
    title: "P3: five models asked for by Zipf's law, one place, 14 clients",
    engine: { ...USUAL_ENGINE, models },
    places: 1,
    windowMs: seconds(quick ? 12 : 40),
    legs: [...onAllWays(sources), directOvertaking(sources)],
  };
}

const CONTEXTS: readonly Readonly<Record<string, unknown>>[] = [{ num_ctx: 4096 }, { num_ctx: 8192 }, {}];

/** Two clients ask for one model with one context after the other. */
function options({ quick }: Scale): Workload {
  const [model = ""] = usualModels(1).map(({ name }) => name);
  const next = (index: number): PlannedRequest =>
    askFor(model, { options: CONTEXTS[index % CONTEXTS.length] ?? {} });
  return {
    name: "p5",
    title: "P5: two clients, num_ctx 4096, 8192 and none in turn",
    engine: { ...USUAL_ENGINE, models: usualModels(1) },
    places: 1,
    windowMs: seconds(quick ? 6 : 12),
    legs: onAllWays(() => [1, 2].map(() => ({ kind: "closed", next }))),
  };
}

/** Tokens of the traces are that many times those that are asked for: times are of an engine that is quicker, too. */
const TRACE_SHRINK = 16;
const TRACE_GRACE_MS = 15_000;

/** Four services with the arrivals and lengths of public traces, room for the models of two. */
function bursty({ quick }: Scale): Workload {
  const lengthMs = seconds(quick ? 12 : 30);
  const rows = readTrace();
  const services = [...new Set(rows.map(({ service }) => service))];
  const change = { prefillRate: 20_000, tokenMs: 10, batchCost: 0.1 };
  const models = usualModels(services.length, change);
  const sources = (): readonly Source[] =>
    services.map((service, index) =>
      arrivalsOf(
        rows.filter((row) => row.service === service),
        models[index]?.name ?? "",
        lengthMs,
      ),
    );
  return {
    name: "p7",
    title: "P7: four services with the bursts of public traces, room for two models",
    engine: { ...USUAL_ENGINE, models, memory: 9_000_000_000 },
    places: 2,
    windowMs: lengthMs + TRACE_GRACE_MS,
    legs: [...onAllWays(sources), directOvertaking(sources)],
  };
}

/** The requests of a service, stretched over `lengthMs`. */
function arrivalsOf(rows: readonly TraceRow[], model: string, lengthMs: number): TimedArrivals {
  const stretch = lengthMs / Math.max(1, ...rows.map(({ ms }) => ms));
  const arrivals = rows.map(({ ms, promptTokens, answerTokens }) => ({
    atMs: ms * stretch,
    ask: { model, tokens: shrunk(answerTokens), promptTokens: shrunk(promptTokens) },
  }));
  return { kind: "timed", arrivals };
}

function shrunk(tokens: number): number {
  return Math.max(1, Math.round(tokens / TRACE_SHRINK));
}

/** All workloads but the one on a single model, which has rounds. */
export function workloads(scale: Scale): readonly Workload[] {
  return [
    twoModels(scale, false),
    rareModel(scale, false),
    rareModel(scale, true),
    fiveModels(scale),
    options(scale),
    bursty(scale),
    twoModels(scale, true),
  ];
}
