import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "../core/fault.ts";
import { outageCode, replyErrorCode, replyText } from "./reply-error.ts";
import type { Argument, Connection } from "./connection.ts";

/** A Lua script with its hash. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

function load(name: string): Script {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), "utf8");
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}

export const OPEN: Script = load("open");
export const ENQUEUE: Script = load("enqueue");
export const EMIT: Script = load("emit");
export const CLAIM: Script = load("claim");
export const TAKE: Script = load("take");
export const TAKE_PLACED: Script = load("take-placed");
export const TIDY: Script = load("tidy");
export const HAND_BACK: Script = load("hand-back");
export const NOTE: Script = load("note");
export const LOG: Script = load("log");
export const HOLD: Script = load("hold");

/** All of them. */
export const SCRIPTS: readonly Script[] = [
  OPEN,
  ENQUEUE,
  EMIT,
  CLAIM,
  TAKE,
  TAKE_PLACED,
  TIDY,
  HAND_BACK,
  NOTE,
  LOG,
  HOLD,
];

/** Name of the library of functions that are these scripts: another one for each change of any of them. */
export const LIBRARY: string = `sgnet_${createHash("sha1")
  .update(SCRIPTS.map(({ sha1 }) => sha1).join(" "))
  .digest("hex")
  .slice(0, 12)}`;

/** Name of the function that does what a script does. */
export function functionOf({ name }: Script): string {
  return `${LIBRARY}_${name.replaceAll("-", "_")}`;
}

/** Connections whose user calls functions. */
const callers = new WeakSet<Connection>();

/** From now on this connection calls functions. */
export function callFunctions(connection: Connection): void {
  callers.add(connection);
}

/**
 * Runs a script by its hash; a Redis that forgot it (restart, failover) gets the source again, after commands that
 * were sent in the meantime.
 */
export async function run(
  connection: Connection,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  const count = String(keys.length);
  if (callers.has(connection)) return call(connection, script, keys, args);
  try {
    return await connection.command("EVALSHA", script.sha1, count, ...keys, ...args);
  } catch (error) {
    if (replyErrorCode(error) !== "NOSCRIPT") throw error;
    return connection.command("EVAL", script.source, count, ...keys, ...args);
  }
}

/**
 * Runs a script by its source, for scripts that commands sent after them rely on, and for the last words of a process:
 * Redis runs it in its place in the pipeline, whatever it has forgotten.
 */
export async function runInOrder(
  connection: Connection,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  if (callers.has(connection)) return call(connection, script, keys, args);
  return connection.command("EVAL", script.source, String(keys.length), ...keys, ...args);
}

/** A Redis that lost its functions (it was started without its data) is given the script, if that is allowed. */
async function call(
  connection: Connection,
  script: Script,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  const count = String(keys.length);
  try {
    return await connection.command("FCALL", functionOf(script), count, ...keys, ...args);
  } catch (error) {
    if (!isMissingFunction(error)) throw error;
  }
  try {
    return await connection.command("EVAL", script.source, count, ...keys, ...args);
  } catch (error) {
    if (outageCode(error) !== "NOPERM") throw error;
    throw new Fault("redis_down", "Redis has lost the functions of this version: run sgnet load-functions", {
      cause: error,
    });
  }
}

/** In every version of Redis and Valkey. */
function isMissingFunction(error: unknown): boolean {
  return /^ERR .*function not found/i.test(replyText(error));
}
