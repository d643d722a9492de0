import type { Settings } from "../config/settings.ts";
import { parseModelTimeouts } from "../core/timeouts.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { rememberedModels } from "../redis/registry.ts";
import type { Finding } from "./finding.ts";

/** Undefined where the user of the connection may not look, as that of a worker. */
async function knownModels(connection: Connection, keys: Keys): Promise<ReadonlySet<string> | undefined> {
  try {
    return await rememberedModels(connection, keys, 0);
  } catch {
    return undefined;
  }
}

/** Models with timeouts of their own that nobody offers: one may come yet, so it is no mistake, but often a wrong name. */
export async function checkModels(
  connection: Connection,
  keys: Keys,
  { modelTimeouts }: Pick<Settings, "modelTimeouts">,
): Promise<readonly Finding[]> {
  const named = [...parseModelTimeouts(modelTimeouts).keys()];
  if (named.length === 0) return [];
  const known = await knownModels(connection, keys);
  if (known === undefined) return [];
  const strange = named.filter((model) => !known.has(model));
  const text =
    strange.length === 0
      ? "those of SGNET_MODEL_TIMEOUTS are all known"
      : `SGNET_MODEL_TIMEOUTS names what no worker has offered: ${strange.join(", ")}; is that its name?`;
  return [{ ok: true, about: "models", text }];
}
