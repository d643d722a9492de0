import type { Settings } from "../config/settings.ts";
import { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import { recordCommand } from "./audited.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";

/**
 * Drains or undrains a worker, or all workers of a host. Resolves with the exit code. Rejects with a sentence when no
 * worker has this name.
 * @param asked.name id or host of a worker, as `sgnet status` shows it
 */
export async function runDrain(
  settings: Settings,
  verb: "drain" | "undrain",
  { name, json }: { readonly name: string | undefined; readonly json: boolean },
): Promise<number> {
  if (name === undefined) {
    throw new Error(
      `A worker is missing: sgnet ${verb} WORKER. Give its id or host, as sgnet status lists the workers.`,
    );
  }
  return withConnection(settings, verb, async (connection) => {
    const { registry, control, audit } = openStores(connection, new Keys(settings.prefix));
    const workers = await registry.listWorkers();
    const meant = workers.filter(({ id, host }) => id === name || host === name);
    if (meant.length === 0) throw new Error(`There is no worker ${name}: sgnet status lists the workers.`);
    for (const { id, host } of meant) {
      await control.drain(id, verb);
      await recordCommand(audit, { action: `workers.${verb}`, target: id }, "sent");
      if (!json) print(`${id} on ${host} is told to ${verb}.\n`);
    }
    if (json) printJson({ verb, workers: meant.map(({ id, host }) => ({ id, host })) });
    return 0;
  });
}
