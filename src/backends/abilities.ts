import { Fault } from "../core/fault.ts";
import { ABILITIES } from "../core/ability.ts";
import { isObject } from "../core/json.ts";
import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import { SURFACE, surfaceOf } from "../protocols/openai/surface.ts";
import type { SurfaceEndpoint } from "../protocols/openai/surface.ts";
import { surfacePassthrough } from "../protocols/openai/surface-passthrough.ts";
import type { Passthrough } from "../protocols/codec.ts";
import type { BackendState } from "./backend.ts";
import type { HttpOrigin } from "./http.ts";

/**
 * Methods that find the endpoints of a kind of server beyond chat and embeddings.
 * - `none`: the server has none.
 * - `document`: its /openapi.json lists them; without that document as `probe`.
 * - `probe`: a POST without a body to each path shows which exist.
 * - `router`: as `probe`, once per loaded model where the server has several.
 * - `audio`: at most transcriptions, for models that accept audio (Ollama).
 */
export type SurfaceCheck = "none" | "document" | "probe" | "router" | "audio";

/** Result of one check: the paths of the server, and the abilities of each model. */
interface Found {
  readonly paths: ReadonlySet<string>;
  /** Abilities by the backend's own model id. Models that are absent have `common`. */
  readonly abilities: ReadonlyMap<string, readonly string[]>;
  readonly common: readonly string[];
}

const NOTHING: Found = { paths: new Set(), abilities: new Map(), common: [] };

/** Interval of the checks, ms: a restarted server may have other endpoints. */
const RECHECK_MS = 600_000;

/** First and longest pause after a failed check, ms. Each further failure doubles the pause. */
const FIRST_PAUSE_MS = 5000;
const MOST_PAUSE_MS = 60_000;

/** Time limit of a check, ms. A check that exceeds it changes nothing. */
const CHECK_LIMIT_MS = 2000;

/** Statuses with which servers refuse a request without a body at a path that they have. */
const HAS_PATH: ReadonlySet<number> = new Set([400, 411, 413, 415, 422]);

/** A path that no server has. When a server seems to have it, its answers to probes mean nothing. */
const NO_PATH = "/v1/sgnet-no-such-path";

const NO_BODY = Buffer.alloc(0);

/** Statuses that say nothing about a path: the server is full, or not ready. */
const UNSURE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export interface AbilitiesOptions {
  readonly surface: SurfaceCheck;
  /** Configured abilities of the backend; absent: they are probed. */
  readonly declared?: readonly string[] | undefined;
  readonly mono: () => number;
}

/** The endpoints of one backend beyond chat and embeddings. */
export class Abilities {
  readonly #options: AbilitiesOptions;
  #found: Found = NOTHING;
  #models = "";
  #checkAt = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(options: AbilitiesOptions) {
    this.#options = options;
  }

  /** Adds the endpoints of each model to the result of `inspect`. Rejects as `inspect` does. */
  async withAbilities(
    http: HttpOrigin,
    inspect: () => Promise<BackendState>,
    signal: AbortSignal,
  ): Promise<BackendState> {
    try {
      const state = await inspect();
      return { ...state, models: await this.#checked(http, state.models, signal) };
    } catch (error) {
      // The server may come back with other endpoints.
      this.invalidate();
      throw error;
    }
  }

  /** Checks again when the interval is over, or when the models have changed. Never rejects. */
  async #checked(
    http: HttpOrigin,
    cards: readonly ModelCard[],
    signal: AbortSignal,
  ): Promise<readonly ModelCard[]> {
    const { surface, declared, mono } = this.#options;
    if (surface === "none" && declared === undefined) return cards;
    const models = cards.map((card) => `${card.name}\n${card.resident}\n${takesAudio(card)}`).join("\n");
    if (models !== this.#models || mono() >= this.#checkAt) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(CHECK_LIMIT_MS)]);
      this.#models = models;
      try {
        this.#found = await this.#check(http, cards, limit);
        this.#pauseMs = FIRST_PAUSE_MS;
        this.#checkAt = mono() + RECHECK_MS;
      } catch {
        // The last result stays. A server that lets requests hang is checked with growing pauses.
        this.#checkAt = mono() + this.#pauseMs;
        this.#pauseMs = Math.min(2 * this.#pauseMs, MOST_PAUSE_MS);
      }
    }
    return cards.map((card) => this.#withAbilities(card));
  }

  /** Makes the next inspection check again: the backend lacks an endpoint that a check had found. */
  invalidate(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#checkAt = Number.NEGATIVE_INFINITY;
  }

  /** The pass-through for a task of such an endpoint; undefined for other tasks. */
  passthroughOf({ endpoint }: Pick<Task, "endpoint">): Passthrough | undefined {
    const row = surfaceOf(endpoint);
    return row === undefined ? undefined : surfacePassthrough(row, this.#found.paths);
  }

  #withAbilities(card: ModelCard): ModelCard {
    const abilities = this.#found.abilities.get(card.name) ?? this.#found.common;
    return abilities.length === 0 ? card : { ...card, endpoints: abilities };
  }

  async #check(http: HttpOrigin, cards: readonly ModelCard[], signal: AbortSignal): Promise<Found> {
    const { surface, declared } = this.#options;
    if (declared !== undefined) return declaredFound(declared, await pathsOf(http, surface, signal));
    if (surface === "audio") return audioFound(http, cards, signal);
    const isRouter = surface === "router" && cards.length > 1;
    if (isRouter) return routerFound(http, cards, { signal, before: this.#found });
    const paths = await pathsOf(http, surface, signal);
    return { paths, abilities: new Map(), common: abilitiesOf(paths) };
  }
}

function abilitiesOf(paths: ReadonlySet<string>): readonly string[] {
  return SURFACE.filter((row) => hasAny(row, paths)).map(({ endpoint }) => ABILITIES[endpoint]);
}

function hasAny(row: SurfaceEndpoint, paths: ReadonlySet<string>): boolean {
  return row.paths.some(({ path }) => paths.has(path));
}

/** A declared endpoint has all of its paths, unless a check has found some of them. */
function declaredFound(declared: readonly string[], seen: ReadonlySet<string>): Found {
  const rows = SURFACE.filter(({ endpoint }) => declared.includes(ABILITIES[endpoint]));
  const paths = rows.flatMap((row) => {
    const all = row.paths.map(({ path }) => path);
    return hasAny(row, seen) ? all.filter((path) => seen.has(path)) : all;
  });
  return {
    paths: new Set(paths),
    abilities: new Map(),
    common: rows.map(({ endpoint }) => ABILITIES[endpoint]),
  };
}

const ALL_PATHS: readonly string[] = SURFACE.flatMap(({ paths }) => paths.map(({ path }) => path));

/** The paths of such endpoints that a server has. Rejects when the server cannot be asked. */
async function pathsOf(
  http: HttpOrigin,
  surface: SurfaceCheck,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (surface === "none" || surface === "audio") return NOTHING.paths;
  const documented = surface === "document" ? await documentedPaths(http, signal) : undefined;
  if (documented !== undefined) return new Set(ALL_PATHS.filter((path) => documented.has(path)));
  const ask = async (path: string): Promise<boolean> =>
    HAS_PATH.has(await sureStatus(http, { path, body: NO_BODY }, signal));
  return (await ask(NO_PATH)) ? NOTHING.paths : pathsWhere(ask);
}

/** The status of a reply. Rejects for a status that says nothing about the path. */
async function sureStatus(
  http: HttpOrigin,
  { path, body }: { readonly path: string; readonly body: Buffer },
  signal: AbortSignal,
): Promise<number> {
  const status = await http.statusOf(path, body, signal);
  if (!UNSURE.has(status)) return status;
  throw new Fault("backend_busy", `the backend is not ready: POST ${path} was answered with ${status}`);
}

async function pathsWhere(isThere: (path: string) => Promise<boolean>): Promise<ReadonlySet<string>> {
  const checks = ALL_PATHS.map(async (path) => ((await isThere(path)) ? [path] : []));
  return new Set((await Promise.all(checks)).flat());
}

/** Most bytes of an OpenAPI document. Usual ones have 500 KB; larger ones take too long to parse. */
const MOST_DOCUMENT_BYTES = 4 * 1024 * 1024;

/** The paths in a server's OpenAPI document; undefined where it has none. */
async function documentedPaths(
  http: HttpOrigin,
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  const { status, body } = await http.get("/openapi.json", signal);
  if (status !== 200 || body.length > MOST_DOCUMENT_BYTES) return undefined;
  try {
    const document: unknown = JSON.parse(body.toString("utf8"));
    const paths = isObject(document) ? document["paths"] : undefined;
    return isObject(paths) ? new Set(Object.keys(paths)) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Checks each loaded model of a llama.cpp router, which asks the model that the body names. A check must not load a
 * model. An unloaded model keeps its last result.
 */
async function routerFound(
  http: HttpOrigin,
  cards: readonly ModelCard[],
  { signal, before }: { readonly signal: AbortSignal; readonly before: Found },
): Promise<Found> {
  const abilities = new Map<string, readonly string[]>();
  const paths = new Set(before.paths);
  for (const { name, resident } of cards) {
    const known = before.abilities.get(name);
    if (!resident) {
      if (known !== undefined) abilities.set(name, known);
      continue;
    }
    const own = await pathsOfModel(http, name, signal);
    for (const path of own) paths.add(path);
    abilities.set(name, abilitiesOf(own));
  }
  return { paths, abilities, common: [] };
}

const TRANSCRIPTIONS = "/v1/audio/transcriptions";

/** Ollama transcribes with models that accept audio; older versions lack the path. */
async function audioFound(
  http: HttpOrigin,
  cards: readonly ModelCard[],
  signal: AbortSignal,
): Promise<Found> {
  const able = cards.filter(takesAudio);
  if (able.length === 0) return NOTHING;
  const status = await sureStatus(http, { path: TRANSCRIPTIONS, body: NO_BODY }, signal);
  if (!HAS_PATH.has(status)) return NOTHING;
  const abilities = able.map(({ name }) => [name, [ABILITIES["openai-transcriptions"]]] as const);
  return { paths: new Set([TRANSCRIPTIONS]), abilities: new Map(abilities), common: [] };
}

function takesAudio({ capabilities }: ModelCard): boolean {
  return capabilities.includes("audio");
}

/**
 * Paths that a llama.cpp has for a model. The body only names the model, so the server tokenizes nothing and refuses
 * the rest.
 */
async function pathsOfModel(
  http: HttpOrigin,
  model: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const body = Buffer.from(JSON.stringify({ model }));
  return pathsWhere(async (path) => {
    const status = await sureStatus(http, { path: `${path}?autoload=false`, body }, signal);
    return status === 200 || HAS_PATH.has(status);
  });
}
