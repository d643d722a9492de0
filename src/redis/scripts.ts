import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { replyErrorCode } from "./connection.ts";
import type { Argument, Connection } from "./connection.ts";

/** A Lua script with its hash. */
export interface Script {
  readonly source: string;
  readonly sha1: string;
}

function load(name: string): Script {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), "utf8");
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
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
  return connection.command("EVAL", script.source, String(keys.length), ...keys, ...args);
}
