import { Fault } from "../core/fault.ts";
import { ABILITIES } from "../core/ability.ts";
import { isObject } from "../core/json.ts";
import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import { SURFACE, surfaceOf } from "../protocols/openai/surface.ts";
import type { SurfaceEndpoint } from "../protocols/openai/surface.ts";
import { surfaceWay } from "../protocols/openai/surface-way.ts";
import type { Passthrough } from "../protocols/protocol.ts";
import type { BackendState } from "./backend.ts";
import type { HttpOrigin } from "./http.ts";

/**
 * How it is found out which endpoints of the surface a kind of server has. `none`: it has none. `document`: its
 * /openapi.json lists them, else as `probe`. `probe`: each path is sent a POST without a body. `router`: the same, and
 * where it serves several models each that is loaded is asked by its name. `audio`: it has transcriptions at most, for models
 * that hear: Ollama.
 */
export type SurfaceLook = "none" | "document" | "probe" | "router" | "audio";

/** Result of one look: the paths of the server, and the abilities of each model. */
interface Found {
  readonly paths: ReadonlySet<string>;
  /** By the backend's own id; models that are not in it have `common`. */
  readonly abilities: ReadonlyMap<string, readonly string[]>;
  readonly common: readonly string[];
}

const NOTHING: Found = { paths: new Set(), abilities: new Map(), common: [] };

/** After this it is looked again, ms: a server that was started anew may have other endpoints. */
const LOOK_AGAIN_MS = 600_000;

/** After one that failed it is looked again so soon, ms, and after each further one in twice the time, up to the most. */
const FIRST_PAUSE_MS = 5000;
const MOST_PAUSE_MS = 60_000;

/** A look may take so long, ms; one that does not end in time changes nothing. */
const LOOK_MS = 2000;

/** Statuses by which servers refuse a request without a body at a path that they have. */
const TAKES: ReadonlySet<number> = new Set([400, 411, 413, 415, 422]);

/** A path that no server has: a server that seems to have it tells nothing by such answers. */
const NO_PATH = "/v1/sgnet-no-such-path";

const NO_BODY = Buffer.alloc(0);

/** Statuses that say nothing of a path: the server is full, or not ready. */
const UNSURE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export interface AbilitiesOptions {
  readonly look: SurfaceLook;
  /** Abilities that the backend has, as configured; absent: it is found out. */
  readonly declared?: readonly string[] | undefined;
  readonly mono: () => number;
}

/** Which endpoints of the surface one backend has. */
export class Abilities {
  readonly #options: AbilitiesOptions;
  #found: Found = NOTHING;
  #models = "";
  #lookAt = Number.NEGATIVE_INFINITY;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(options: AbilitiesOptions) {
    this.#options = options;
  }

  /** Adds the endpoints of each model to what `look` tells. Rejects as `look` does. */
  async seen(
    http: HttpOrigin,
    look: () => Promise<BackendState>,
    signal: AbortSignal,
  ): Promise<BackendState> {
    try {
      const state = await look();
      return { ...state, models: await this.#told(http, state.models, signal) };
    } catch (error) {
      // When it comes back it may have other endpoints.
      this.doubt();
      throw error;
    }
  }

  /** Looks again when it is time, or when there are other models. Never rejects. */
  async #told(
    http: HttpOrigin,
    cards: readonly ModelCard[],
    signal: AbortSignal,
  ): Promise<readonly ModelCard[]> {
    const { look, declared, mono } = this.#options;
    if (look === "none" && declared === undefined) return cards;
    const models = cards.map((card) => `${card.name}\n${card.resident}\n${hears(card)}`).join("\n");
    if (models !== this.#models || mono() >= this.#lookAt) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
      this.#models = models;
      try {
        this.#found = await this.#looked(http, cards, limit);
        this.#pauseMs = FIRST_PAUSE_MS;
        this.#lookAt = mono() + LOOK_AGAIN_MS;
      } catch {
        // The last result stands. A server that lets requests hang is asked with growing pauses.
        this.#lookAt = mono() + this.#pauseMs;
        this.#pauseMs = Math.min(2 * this.#pauseMs, MOST_PAUSE_MS);
      }
    }
    return cards.map((card) => this.#withAbilities(card));
  }

  /** A backend says that it lacks what it was found to have: the next look at it looks here, too. */
  doubt(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#lookAt = Number.NEGATIVE_INFINITY;
  }

  /** How a task of the surface is passed through; undefined for any other. */
  wayOf({ endpoint }: Pick<Task, "endpoint">): Passthrough | undefined {
    const row = surfaceOf(endpoint);
    return row === undefined ? undefined : surfaceWay(row, this.#found.paths);
  }

  #withAbilities(card: ModelCard): ModelCard {
    const abilities = this.#found.abilities.get(card.name) ?? this.#found.common;
    return abilities.length === 0 ? card : { ...card, endpoints: abilities };
  }

  async #looked(http: HttpOrigin, cards: readonly ModelCard[], signal: AbortSignal): Promise<Found> {
    const { look, declared } = this.#options;
    if (declared !== undefined) return declaredFound(declared, await pathsOf(http, look, signal));
    if (look === "audio") return audioFound(http, cards, signal);
    const isRouter = look === "router" && cards.length > 1;
    if (isRouter) return routerFound(http, cards, { signal, before: this.#found });
    const paths = await pathsOf(http, look, signal);
    return { paths, abilities: new Map(), common: abilitiesOf(paths) };
  }
}

function abilitiesOf(paths: ReadonlySet<string>): readonly string[] {
  return SURFACE.filter((row) => hasAny(row, paths)).map(({ endpoint }) => ABILITIES[endpoint]);
}

function hasAny(row: SurfaceEndpoint, paths: ReadonlySet<string>): boolean {
  return row.paths.some(({ path }) => paths.has(path));
}

/** A declared endpoint that shows none of its paths is believed to have all of them. */
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

/** The paths of the surface that a server has. Rejects when it cannot be asked. */
async function pathsOf(
  http: HttpOrigin,
  look: SurfaceLook,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  if (look === "none" || look === "audio") return NOTHING.paths;
  const documented = look === "document" ? await documentedPaths(http, signal) : undefined;
  if (documented !== undefined) return new Set(ALL_PATHS.filter((path) => documented.has(path)));
  const ask = async (path: string): Promise<boolean> =>
    TAKES.has(await sureStatus(http, { path, body: NO_BODY }, signal));
  return (await ask(NO_PATH)) ? NOTHING.paths : pathsWhere(ask);
}

/** Rejects for a status that says nothing. */
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
  const looks = ALL_PATHS.map(async (path) => ((await isThere(path)) ? [path] : []));
  return new Set((await Promise.all(looks)).flat());
}

/** A description has some 500 KB; a larger one is not worth the time that it takes to be read. */
const MOST_DOCUMENT_BYTES = 4 * 1024 * 1024;

/** The paths in a server's own description; undefined where it has none. */
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
 * A llama.cpp that routes to several models asks the one that the body names. Only loaded ones are asked, and none may be
 * loaded for it; a model that is not loaded keeps what it had when it was.
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

/** Ollama transcribes by a chat with a model that hears; older versions do not have the path. */
async function audioFound(
  http: HttpOrigin,
  cards: readonly ModelCard[],
  signal: AbortSignal,
): Promise<Found> {
  const able = cards.filter(hears);
  if (able.length === 0) return NOTHING;
  const status = await sureStatus(http, { path: TRANSCRIPTIONS, body: NO_BODY }, signal);
  if (!TAKES.has(status)) return NOTHING;
  const abilities = able.map(({ name }) => [name, [ABILITIES["openai-transcriptions"]]] as const);
  return { paths: new Set([TRANSCRIPTIONS]), abilities: new Map(abilities), common: [] };
}

function hears({ capabilities }: ModelCard): boolean {
  return capabilities.includes("audio");
}

/** Paths that a llama.cpp has for a model. The body only names it: nothing is tokenized, and the rest is refused. */
async function pathsOfModel(
  http: HttpOrigin,
  model: string,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const body = Buffer.from(JSON.stringify({ model }));
  return pathsWhere(async (path) => {
    const status = await sureStatus(http, { path: `${path}?autoload=false`, body }, signal);
    return status === 200 || TAKES.has(status);
  });
}
