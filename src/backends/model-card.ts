import { createHash } from "node:crypto";
import { MAX_NAME, modelKey, modelNameProblem } from "../core/model.ts";
import type { ModelCard, ModelNameProblem } from "../core/model.ts";
import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { BackendState } from "./backend.ts";

/** Reads how backends describe their models. Their values are not trusted: a value of the wrong form counts as absent. */

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
 * Makes a card of the known fields. The other fields are blank, and the digest is that of the name. Undefined for a name that
 * cannot be served: see {@link unservedReasons}.
 */
export function modelCard(name: string, known: Partial<ModelCard>): ModelCard | undefined {
  if (modelNameProblem(name) !== undefined) return undefined;
  return { ...UNKNOWN, digest: sha256(name), ...known, key: modelKey(name), name };
}

/** The models of a list's entries, and the ids of those that cannot be served. */
export function listedModels(
  entries: readonly JsonObject[],
  read: (entry: JsonObject) => ModelCard | undefined,
): Pick<BackendState, "models" | "unserved"> {
  const unserved = unservedReasons(entries.map(idOf));
  const models = modelCards(entries, read);
  return unserved.length === 0 ? { models } : { models, unserved };
}

/** The cards of a list's entries. Entries without a card and repeated names are left out. */
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

/** Most names in a warning. */
const MOST_NAMES = 10;
const MOST_CHARACTERS = 80;

const PROBLEM_TEXTS: Readonly<Record<ModelNameProblem, string>> = {
  blank: "it is empty, or begins or ends with a blank",
  long: `it is longer than ${MAX_NAME} characters`,
  unprintable: "it has characters that cannot be shown",
};

/** The ids of a list that cannot be served, each with the reason, for a warning. */
export function unservedReasons(ids: readonly string[]): readonly string[] {
  const reasons = ids.flatMap((id) => {
    const problem = modelNameProblem(id);
    if (problem === undefined) return [];
    return [`${JSON.stringify(id.slice(0, MOST_CHARACTERS))}: ${PROBLEM_TEXTS[problem]}`];
  });
  return reasons.slice(0, MOST_NAMES);
}

/** Gives models without a date the time of their first listing, so that the date stays the same. */
export class FirstSeenDates {
  #dates: ReadonlyMap<string, number> = new Map();

  /** The cards, each with a date. */
  dated(models: readonly ModelCard[]): readonly ModelCard[] {
    const now = Date.now();
    const before = this.#dates;
    this.#dates = new Map(models.map(({ name }) => [name, before.get(name) ?? now]));
    return models.map((card) => {
      return card.modifiedAt > 0 ? card : { ...card, modifiedAt: this.#dates.get(card.name) ?? now };
    });
  }
}

/** The objects of a list, which is the whole document or one member of it. Throws `backend_error` when there is none. */
export function listMember(json: Json, name: string): readonly JsonObject[] {
  const list = isObject(json) ? json[name] : json;
  if (!Array.isArray(list)) {
    throw new Fault("backend_error", `the backend's list of models has no "${name}"`);
  }
  // Some lists hold ids instead of objects.
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

/** The value as a string; "" for other types. */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** The value as a positive whole number; 0 for others. */
export function countOf(value: Json | undefined): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** The strings of a list. */
export function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

/** SHA-256 of a text, as 64 hex digits. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A parameter count in Ollama's form: `134.52M`, `7.2B`; "" for 0. */
export function parameterSize(count: number): string {
  if (count >= 1e12) return `${Number((count / 1e12).toFixed(1))}T`;
  if (count >= 1e9) return `${Number((count / 1e9).toFixed(1))}B`;
  if (count >= 1e6) return `${Number((count / 1e6).toFixed(2))}M`;
  return count > 0 ? `${Math.round(count / 1e3)}K` : "";
}
