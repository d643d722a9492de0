import type { Settings } from "../config/settings.ts";
import { loadFunctions } from "../redis/functions.ts";
import { LIBRARY } from "../redis/scripts.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-url.ts";

/**
 * Loads into Redis what gateways and workers of this version call there, as an admin: users with least rights may call
 * functions, and load none. Resolves with the exit code.
 */
export async function runLoadFunctions(settings: Settings, json: boolean): Promise<number> {
  return withConnection(settings, "load-functions", async (connection) => {
    const wereNew = await loadFunctions(connection);
    if (json) printJson({ library: LIBRARY, loaded: wereNew });
    else print(`${LIBRARY} ${wereNew ? "is loaded" : "was there already"}.\n`);
    return 0;
  });
}
