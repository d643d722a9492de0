import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Fault } from "../core/fault.ts";
import { outageCode, replyErrorCode, replyText } from "./connection/reply-error.ts";
import type { Argument, Connection } from "./connection/connection.ts";

/** A Lua script with its hash. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

function read(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), "utf8");
}

/** A script names in its header the parts that stand before it. */
function load(name: string): Script {
  const script = read(name);
  const parts = /^-- Parts:(.+)$/m.exec(script)?.[1]?.trim().split(", ") ?? [];
  const source = [...parts.map((part) => read(`parts/${part}`)), script].join("");
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
export const KEYSET: Script = load("keyset");
export const KEY_RESTORE: Script = load("key-restore");
export const LEASE: Script = load("lease");
export const USE: Script = load("use");
export const LEASE_SLOTS: Script = load("slots");

/** All scripts. */
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
  KEYSET,
  KEY_RESTORE,
  LEASE,
  USE,
  LEASE_SLOTS,
];

/** Name of the library of functions. It changes with each change of a script. */
export const FUNCTION_LIBRARY: string = `sgnet_${createHash("sha1")
  .update(SCRIPTS.map(({ sha1 }) => sha1).join(" "))
  .digest("hex")
  .slice(0, 12)}`;

/** Name of the function that is the same as a script. */
export function functionOf({ name }: Script): string {
  return `${FUNCTION_LIBRARY}_${name.replaceAll("-", "_")}`;
}

/** Connections that call functions instead of scripts. */
const callers = new WeakSet<Connection>();

/** Makes a connection call functions from now on. */
export function callFunctions(connection: Connection): void {
  callers.add(connection);
}

/**
 * Runs a script by its hash. A Redis that lost it (restart, failover) gets the source again.
 * The script then runs after commands that were sent in the meantime.
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
 * Runs a script by its source: Redis runs it in its place in the pipeline even when it has lost its scripts.
 * Use it when later commands rely on the script, and for the last commands of a process.
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

/** Calls a function. A Redis that started without its data has lost it: the script runs then, if that is allowed. */
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

/** The error text is the same in every version of Redis and Valkey. */
function isMissingFunction(error: unknown): boolean {
  return /^ERR .*function not found/i.test(replyText(error));
}
