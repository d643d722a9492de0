import type { Connection } from "./connection.ts";
import { callFunctions, functionOf, LIBRARY, SCRIPTS } from "./scripts.ts";
import type { Script } from "./scripts.ts";

/**
 * The scripts as functions of Redis. A user who may run scripts can run any, also one that never ends; one who may only
 * call functions runs what an admin has loaded. Each version of the scripts is a library of its own, so that processes
 * of different versions find theirs side by side.
 */

/** Functions that let tasks end remove more than they add: they must run while Redis is out of memory, too. */
const RELIEVING: ReadonlySet<string> = new Set(["tidy", "take", "take-placed", "claim", "hand-back"]);

/** Answers 1 where the library is loaded and its functions may be called. */
const PROBE = `${LIBRARY}_probe`;

/** The text of the library. */
export function librarySource(): string {
  const probe = `redis.register_function{ function_name = '${PROBE}', flags = { 'no-writes' }, callback = function() return 1 end }`;
  return [`#!lua name=${LIBRARY}`, probe, ...SCRIPTS.map(definition)].join("\n");
}

/** A script sees its keys and arguments under the names that scripts have for them. */
function definition(script: Script): string {
  const flags = RELIEVING.has(script.name) ? "'allow-oom'" : "";
  return `redis.register_function{ function_name = '${functionOf(script)}', flags = { ${flags} }, callback = function(KEYS, ARGV)
${script.source}
end }`;
}

/**
 * Loads the functions into every master. Needs the right to FUNCTION LOAD; loading them again changes nothing.
 * Resolves with whether some master lacked them. Rejects with `redis_down` where the right is missing.
 */
export async function loadFunctions(connection: Connection): Promise<boolean> {
  const known = await connection.everywhere("FUNCTION", "LIST", "LIBRARYNAME", LIBRARY);
  if (known.every((list) => Array.isArray(list) && list.length > 0)) return false;
  await connection.everywhere("FUNCTION", "LOAD", "REPLACE", librarySource());
  return true;
}

/** From now on a connection calls functions where they are loaded and it may; else it runs scripts. Never rejects. */
export async function preferFunctions(connection: Connection): Promise<void> {
  try {
    await connection.everywhere("FCALL", PROBE, "0");
    callFunctions(connection);
  } catch {
    // Not loaded, or not allowed.
  }
}
