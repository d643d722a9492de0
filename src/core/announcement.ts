import type {
  BackendAnnouncement,
  ColdModel,
  CircuitAnnouncement,
  GatewayAnnouncement,
  PlacementAnnouncement,
  WorkerAnnouncement,
} from "./fleet.ts";
import { isObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { isAbility } from "./ability.ts";
import type { ModelCard, ModelLoad } from "./model.ts";

/**
 * Reads announcements of processes of any version. Entries without a name are dropped. A missing member, or one of
 * another type, gets its default below. Unknown members are kept.
 */

const WORKER: Omit<WorkerAnnouncement, "id"> = {
  version: "",
  host: "",
  pid: 0,
  startedAt: 0,
  seenAt: 0,
  draining: false,
  backends: [],
};

const BACKEND: Omit<BackendAnnouncement, "name"> = {
  kind: "",
  url: "",
  slots: 0,
  busy: 0,
  healthy: false,
  models: [],
};

const PLACEMENT: PlacementAnnouncement = { swaps: 0, places: 1, loading: [], cold: [] };

const COLD: ColdModel = { model: "", waitedMs: 0, dueMs: 0 };

/** The card of a model that is known by its name only. */
export const BLANK_CARD: Omit<ModelCard, "key" | "name"> = {
  modifiedAt: 0,
  size: 0,
  digest: "",
  format: "",
  family: "",
  parameterSize: "",
  quantization: "",
  contextLength: 0,
  capabilities: [],
  ownedBy: "",
  resident: false,
};

const LOAD: Omit<ModelLoad, "expiresAt"> = { size: 0, sizeVram: 0, contextLength: 0 };

const GATEWAY: Omit<GatewayAnnouncement, "tag"> = {
  version: "",
  host: "",
  pid: 0,
  port: 0,
  startedAt: 0,
  seenAt: 0,
  open: 0,
};

/** Returns undefined for a value that names no worker. @param value parsed JSON */
export function readWorkerAnnouncement(value: unknown): WorkerAnnouncement | undefined {
  if (!isObject(value) || typeof value["id"] !== "string") return undefined;
  const { starting, ...rest } = value;
  const worker = conform(rest, WORKER);
  return {
    ...worker,
    id: value["id"],
    ...(starting === true ? { starting } : {}),
    backends: worker.backends.flatMap((backend) => readBackend(backend) ?? []),
  };
}

/** Returns undefined for a value that names no gateway. @param value parsed JSON */
export function readGatewayAnnouncement(value: unknown): GatewayAnnouncement | undefined {
  if (!isObject(value) || typeof value["tag"] !== "string") return undefined;
  const { listen, tokensPerSecond, server, ...rest } = value;
  return {
    ...conform(rest, GATEWAY),
    tag: value["tag"],
    ...(typeof listen === "string" ? { listen } : {}),
    ...(typeof server === "string" ? { server } : {}),
    ...(isObject(tokensPerSecond) ? { tokensPerSecond: numbersOf(tokensPerSecond) } : {}),
  };
}

function readBackend(value: unknown): BackendAnnouncement | undefined {
  if (!isObject(value) || typeof value["name"] !== "string") return undefined;
  const { gates, placement, quirks, ...rest } = value;
  const backend = conform(rest, BACKEND);
  return {
    ...backend,
    name: value["name"],
    models: backend.models.flatMap((card) => readCard(card) ?? []),
    ...(Array.isArray(gates) ? { gates: gates.flatMap((gate) => readCircuit(gate) ?? []) } : {}),
    ...(isObject(placement) ? { placement: readPlacement(placement) } : {}),
    ...(Array.isArray(quirks) ? { quirks: readQuirks(quirks) } : {}),
  };
}

function readPlacement({ swapTo, ...rest }: JsonObject): PlacementAnnouncement {
  const placement = conform(rest, PLACEMENT);
  return {
    ...placement,
    loading: placement.loading.filter((model) => typeof model === "string"),
    cold: placement.cold.flatMap((one) =>
      isObject(one) && typeof one["model"] === "string" ? [conform(one as JsonObject, COLD)] : [],
    ),
    ...(typeof swapTo === "string" ? { swapTo } : {}),
  };
}

/** Limits of the quirks that are shown: entries, and characters of one. */
const MOST_QUIRKS = 8;
const MOST_CHARACTERS = 100;

function readQuirks(quirks: readonly unknown[]): readonly string[] {
  const texts = quirks.filter((quirk) => typeof quirk === "string");
  return texts.slice(0, MOST_QUIRKS).map((text) => text.slice(0, MOST_CHARACTERS));
}

/** Returns undefined for a malformed entry. States of newer versions are kept. */
function readCircuit(value: unknown): CircuitAnnouncement | undefined {
  if (!isObject(value) || typeof value["model"] !== "string" || typeof value["state"] !== "string")
    return undefined;
  return { ...value, model: value["model"], state: value["state"] as CircuitAnnouncement["state"] };
}

function readCard(value: unknown): ModelCard | undefined {
  if (!isObject(value) || typeof value["key"] !== "string") return undefined;
  const { key, name, load, embeddingLength, endpoints, ...rest } = value;
  const card = conform(rest, BLANK_CARD);
  return {
    ...card,
    key,
    name: typeof name === "string" ? name : key,
    capabilities: card.capabilities.filter((capability) => typeof capability === "string"),
    ...(typeof embeddingLength === "number" ? { embeddingLength } : {}),
    ...(Array.isArray(endpoints) ? { endpoints: readAbilities(endpoints) } : {}),
    ...(isObject(load) ? { load: readLoad(load) } : {}),
  };
}

/** Most abilities of a model. Each has a queue of its own. */
const MOST_ABILITIES = 32;

function readAbilities(endpoints: readonly unknown[]): readonly string[] {
  return endpoints.filter(isAbility).slice(0, MOST_ABILITIES);
}

function readLoad({ expiresAt, ...rest }: JsonObject): ModelLoad {
  return { ...conform(rest, LOAD), expiresAt: typeof expiresAt === "number" ? expiresAt : undefined };
}

function numbersOf(values: JsonObject): Record<string, number> {
  const entries = Object.entries(values).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  return Object.fromEntries(entries);
}

/** Gives the members named in `defaults` the types that they have there. */
function conform<Known extends object>(value: JsonObject, defaults: Known): Known {
  const known = Object.entries(defaults).map(([name, fallback]) => {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    return [name, typeOf(given) === typeOf(fallback) ? given : fallback];
  });
  return { ...value, ...(Object.fromEntries(known) as Known) };
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? "array" : typeof value;
}
