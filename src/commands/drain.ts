import type { Settings } from "../config/settings.ts";
import { publishDrain } from "../redis/control.ts";
import { Keys } from "../redis/keys.ts";
import { listWorkers } from "../redis/registry.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-url.ts";

/**
 * Tells a worker, or all workers of a host, to finish what they run and take nothing more, or to take tasks again.
 * Resolves with the exit code. Rejects with a sentence when no worker is called `name`.
 * @param asked.name a worker's id or its host, as `sgnet status` shows them
 */
export async function runDrain(
  settings: Settings,
  verb: "drain" | "undrain",
  { name, json }: { readonly name: string | undefined; readonly json: boolean },
): Promise<number> {
  if (name === undefined) {
    throw new Error(`A worker is missing: sgnet ${verb} WORKER, its id or its host as in sgnet status.`);
  }
  return withConnection(settings, verb, async (connection) => {
    const keys = new Keys(settings.prefix);
    const workers = await listWorkers(connection, keys);
    const meant = workers.filter(({ id, host }) => id === name || host === name);
    if (meant.length === 0) throw new Error(`There is no worker ${name}: sgnet status shows them.`);
    for (const { id, host } of meant) {
      await publishDrain(connection, keys, id, verb);
      if (!json) print(`${id} on ${host} is told to ${verb}.\n`);
    }
    if (json) printJson({ verb, workers: meant.map(({ id, host }) => ({ id, host })) });
    return 0;
  });
}
