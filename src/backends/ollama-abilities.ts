import { toFault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { HttpOrigin } from "./http.ts";
import { idOf, objectMember, textOf, textsOf } from "./model-card.ts";

/**
 * Capabilities of the models of an Ollama server. Servers before 0.30 do not list them, so `/api/show` is read once per
 * model. Without it, thinking and tools would be dropped for models that have them.
 */

/** Most models that one inspection reads: it has a time limit, and Ollama may read a model from disk. */
const MOST_SHOWS = 8;

/** Known capabilities of a server's models by name, each with the digest that they belong to. */
type Known = ReadonlyMap<string, { readonly digest: string; readonly abilities: readonly string[] }>;

const knownOf = new WeakMap<HttpOrigin, Known>();

/** The capabilities by name of the entries that list none, as far as they are known. Never rejects. */
export async function capabilitiesOf(
  http: HttpOrigin,
  entries: readonly JsonObject[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const unlisted = entries.filter(
    (entry) => textsOf(entry["capabilities"]).length === 0 && idOf(entry) !== "",
  );
  const before = knownOf.get(http);
  const kept = unlisted.flatMap((entry) => {
    const known = before?.get(idOf(entry));
    return known?.digest === textOf(entry["digest"]) ? [[idOf(entry), known] as const] : [];
  });
  const known = new Map(kept);
  const missing = unlisted.filter((entry) => !known.has(idOf(entry))).slice(0, MOST_SHOWS);
  await Promise.all(
    missing.map(async (entry) => {
      const abilities = await shownAbilities(http, idOf(entry), signal);
      if (abilities !== undefined) known.set(idOf(entry), { digest: textOf(entry["digest"]), abilities });
    }),
  );
  knownOf.set(http, known);
  return new Map([...known].map(([name, { abilities }]) => [name, abilities]));
}

/** Undefined when the server does not tell now. */
async function shownAbilities(
  http: HttpOrigin,
  model: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  try {
    return readAbilities(await http.postJson("/api/show", { model }, signal));
  } catch (error) {
    // A server that answers and does not know: asking again would not help.
    return toFault(error).code === "backend_error" ? ["completion"] : undefined;
  }
}

/** Servers before 0.6.4 do not say it here either: then the model's template and parts tell. */
function readAbilities(shown: Json): readonly string[] {
  const listed = isObject(shown) ? textsOf(shown["capabilities"]) : [];
  if (listed.length > 0) return listed;
  const info = Object.keys(objectMember(shown, "model_info"));
  if (info.some((name) => name.endsWith(".pooling_type"))) return ["embedding"];
  const abilities = ["completion"];
  const template = isObject(shown) ? textOf(shown["template"]) : "";
  if (template.includes(".Tools")) abilities.push("tools");
  if (template.includes(".Think")) abilities.push("thinking");
  if (template.includes(".Suffix")) abilities.push("insert");
  const hasEyes = info.some((name) => name.includes(".vision."));
  if (hasEyes || Object.keys(objectMember(shown, "projector_info")).length > 0) abilities.push("vision");
  return abilities;
}
