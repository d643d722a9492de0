import { createHash } from "node:crypto";
import { modelKey, type ModelCard, whyNotServed } from "../core/model.ts";
import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { BackendState } from "./backend.ts";

/** Reads what backends tell of their models. Nothing is trusted: odd values count as absent. */

const UNKNOWN: Omit<ModelCard, "key" | "name" | "digest"> = {
  modifiedAt: 0,
  size: 0,
  format: "",
  family: "",
  parameterSize: "",
  quantization: "",
  contextLength: 0,
  capabilities: ["completion"],
  ownedBy: "",
  resident: false,
};

/**
 * A card of what is known; the rest is blank, the digest that of the name. Undefined for a name that cannot be served:
 * see {@link unservedIn}.
 */
export function modelCard(name: string, known: Partial<ModelCard>): ModelCard | undefined {
  if (whyNotServed(name) !== undefined) return undefined;
  return { ...UNKNOWN, digest: sha256(name), ...known, key: modelKey(name), name };
}

/** The models of a list's entries, and the ids of those that cannot be served. */
export function listedModels(
  entries: readonly JsonObject[],
  read: (entry: JsonObject) => ModelCard | undefined,
): Pick<BackendState, "models" | "unserved"> {
  const unserved = unservedIn(entries.map(idOf));
  const models = modelCards(entries, read);
  return unserved.length === 0 ? { models } : { models, unserved };
}

/** The cards of a list's entries, without those that are none and without repeated names. */
function modelCards(
  entries: readonly JsonObject[],
  read: (entry: JsonObject) => ModelCard | undefined,
): readonly ModelCard[] {
  const cards = new Map<string, ModelCard>();
  for (const entry of entries) {
    const card = read(entry);
    if (card !== undefined && !cards.has(card.name)) cards.set(card.name, card);
  }
  return [...cards.values()];
}

/** Most names that a warning tells. */
const MOST_TOLD = 10;
const MOST_CHARACTERS = 80;

/** The ids of a list that cannot be served, each with the reason, for a warning. */
export function unservedIn(ids: readonly string[]): readonly string[] {
  const told = ids.flatMap((id) => {
    const why = whyNotServed(id);
    return why === undefined ? [] : [`${JSON.stringify(id.slice(0, MOST_CHARACTERS))}: ${why}`];
  });
  return told.slice(0, MOST_TOLD);
}

/** The objects of a list member, or of a list without anything around it. Throws `backend_error` when there is none. */
export function listMember(json: Json, name: string): readonly JsonObject[] {
  const list = isObject(json) ? json[name] : json;
  if (!Array.isArray(list)) {
    throw new Fault("backend_error", `the backend's list of models has no "${name}"`);
  }
  // Some lists have bare ids.
  return list.map((entry) => (typeof entry === "string" ? { id: entry } : entry)).filter(isObject);
}

/** The id of an entry of a list of models; "" when it has none. */
export function idOf(entry: JsonObject): string {
  return textOf(entry["id"]) || textOf(entry["name"]) || textOf(entry["model"]);
}

export function objectMember(json: Json | undefined, name: string): JsonObject {
  const member = isObject(json) ? json[name] : undefined;
  return isObject(member) ? member : {};
}

/** A string, or "". */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** A whole number from 0 up, or 0. */
export function countOf(value: Json | undefined): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** The strings of a list. */
export function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

/** 64 hex digits. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A number of parameters as Ollama prints it: `134.52M`, `7.2B`; "" for 0. */
export function parameterSize(count: number): string {
  if (count >= 1e12) return `${Number((count / 1e12).toFixed(1))}T`;
  if (count >= 1e9) return `${Number((count / 1e9).toFixed(1))}B`;
  if (count >= 1e6) return `${Number((count / 1e6).toFixed(2))}M`;
  return count > 0 ? `${Math.round(count / 1e3)}K` : "";
}
