import type { Settings } from "../config/settings.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { parseModelTimeouts } from "../core/timeouts.ts";
import type { Registry } from "../redis/registry.ts";
import type { Finding } from "./finding.ts";

/** Most model names in a line. */
const MOST_NAMED = 5;

/** Lists the endpoints of backends beyond chat and embeddings. This explains why a model is refused with 501. */
export function announcedEndpoints(workers: readonly WorkerAnnouncement[]): readonly Finding[] {
  return workers.flatMap(({ id, backends }) => {
    return backends.flatMap((backend) => {
      return wordsOf(backend).map((words) => {
        return { ok: true, about: "backends", text: `${backend.name} of worker ${id}: ${words}` };
      });
    });
  });
}

/** One text per group of models with the same endpoints. */
function wordsOf({ models }: BackendAnnouncement): string[] {
  const able = models.filter(({ endpoints = [] }) => endpoints.length > 0);
  const alike = Map.groupBy(able, ({ endpoints = [] }) => endpoints.join(", "));
  return [...alike].map(([endpoints, cards]) => {
    const names = cards.slice(0, MOST_NAMED).map(({ name }) => name);
    const more = cards.length - names.length;
    const has = cards.length === 1 ? "has" : "have";
    return `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""} ${has} ${endpoints}`;
  });
}

/** Lists the learned differences of backends. This explains why a server gets other requests than its kind. */
export function learnedQuirks(workers: readonly WorkerAnnouncement[]): readonly Finding[] {
  return workers.flatMap(({ id, backends }) => {
    return backends.flatMap(({ name, quirks = [] }) => {
      const text = `${name} of worker ${id}: learned that it ${quirks.join(", ")}`;
      return quirks.length === 0 ? [] : [{ ok: true, about: "backends", text }];
    });
  });
}

/** The known models; undefined when the Redis user may not read them, such as a worker's. */
async function knownModels(registry: Registry): Promise<ReadonlySet<string> | undefined> {
  try {
    return await registry.rememberedModels(0);
  } catch {
    return undefined;
  }
}

/**
 * Lists models of SGNET_MODEL_TIMEOUTS that no worker offers. They may still come, so this is no error, but it is often
 * a wrong name.
 */
export async function checkModels(
  registry: Registry,
  { modelTimeouts }: Pick<Settings, "modelTimeouts">,
): Promise<readonly Finding[]> {
  const named = [...parseModelTimeouts(modelTimeouts).keys()];
  if (named.length === 0) return [];
  const known = await knownModels(registry);
  if (known === undefined) return [];
  const unknown = named.filter((model) => !known.has(model));
  const text =
    unknown.length === 0
      ? "the models of SGNET_MODEL_TIMEOUTS are all known"
      : `SGNET_MODEL_TIMEOUTS names models that no worker has offered: ${unknown.join(", ")}; check their names`;
  return [{ ok: true, about: "models", text }];
}
