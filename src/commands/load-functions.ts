import type { Settings } from "../config/settings.ts";
import { loadFunctions } from "../redis/functions.ts";
import { FUNCTION_LIBRARY } from "../redis/scripts.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";

/**
 * Loads the Redis functions of this version, as a Redis admin. Restricted users may call functions, but not load them.
 * Resolves with the exit code.
 */
export async function runLoadFunctions(settings: Settings, json: boolean): Promise<number> {
  return withConnection(settings, "load-functions", async (connection) => {
    const wereNew = await loadFunctions(connection);
    if (json) printJson({ library: FUNCTION_LIBRARY, loaded: wereNew });
    else print(`${FUNCTION_LIBRARY} ${wereNew ? "is loaded" : "was there already"}.\n`);
    return 0;
  });
}
