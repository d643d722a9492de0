import type { Connection } from "./connection/connection.ts";
import { callFunctions, functionOf, FUNCTION_LIBRARY, SCRIPTS } from "./scripts.ts";
import type { Script } from "./scripts.ts";

/**
 * The scripts as functions of Redis. A user with the right to run scripts can run any script, even an endless one.
 * A user with the right to call functions runs only functions that an admin has loaded.
 * Each version of the scripts is a library of its own: processes of different versions find theirs side by side.
 */

/** Functions that let tasks end, and so must run while Redis is out of memory. They remove more than they add. */
const RELIEVING: ReadonlySet<string> = new Set(["tidy", "take", "take-placed", "claim", "hand-back"]);

/** Returns 1 where the library is loaded and this user may call its functions. */
const PROBE = `${FUNCTION_LIBRARY}_probe`;

/** Source of the library. */
export function librarySource(): string {
  const probe = `redis.register_function{ function_name = '${PROBE}', flags = { 'no-writes' }, callback = function() return 1 end }`;
  return [`#!lua name=${FUNCTION_LIBRARY}`, probe, ...SCRIPTS.map(definition)].join("\n");
}

/** The callback names its parameters as scripts do, so that the source of a script fits in. */
function definition(script: Script): string {
  const flags = RELIEVING.has(script.name) ? "'allow-oom'" : "";
  return `redis.register_function{ function_name = '${functionOf(script)}', flags = { ${flags} }, callback = function(KEYS, ARGV)
${script.source}
end }`;
}

/**
 * Loads the functions into every master. Needs the right to FUNCTION LOAD. A second call changes nothing.
 * @returns true when a master lacked them
 * @throws Fault `redis_down` where the right is missing
 */
export async function loadFunctions(connection: Connection): Promise<boolean> {
  const known = await connection.everywhere("FUNCTION", "LIST", "LIBRARYNAME", FUNCTION_LIBRARY);
  if (known.every((list) => Array.isArray(list) && list.length > 0)) return false;
  await connection.everywhere("FUNCTION", "LOAD", "REPLACE", librarySource());
  return true;
}

/** Makes a connection call functions where they are loaded and allowed. Otherwise it runs scripts. Never rejects. */
export async function preferFunctions(connection: Connection): Promise<void> {
  try {
    await connection.everywhere("FCALL", PROBE, "0");
    callFunctions(connection);
  } catch {
    // Not loaded, or not allowed.
  }
}
