import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Environment of the process. No other file reads `process.env`. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

const PARENT = "SGNET_PARENT_PID";

/** The environment for a child process of this program that is controlled over its channel. */
export function supervisedEnvironment(): Environment {
  return { ...process.env, [PARENT]: String(process.pid) };
}

/** The environment for another program, without the variables whose names match. */
export function environmentWithout(names: RegExp): Environment {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !names.test(name)));
}

const EXPECTS_WORKER = "SGNET_PARENT_EXPECTS_WORKER";

/** Variables for a gateway that is started beside a worker. */
export function workerExpected(): Environment {
  return { [EXPECTS_WORKER]: String(process.pid) };
}

/** True when {@link workerExpected} was set for this very process. */
export function expectsWorker(): boolean {
  return process.env[EXPECTS_WORKER] === String(process.ppid);
}

/** True when {@link supervisedEnvironment} was set for this very process, not for a parent of it. */
export function isSupervised(): boolean {
  return process.env[PARENT] === String(process.ppid);
}

/**
 * Sets the variables that the native HTTP module reads. Call it before the module is loaded.
 * @param maxHeadBytes most bytes of a request head; cookies and long tokens exceed the module's default of 4096
 */
export function prepareHttpEnvironment(maxHeadBytes: number): void {
  process.env["UWS_HTTP_MAX_HEADERS_SIZE"] = String(maxHeadBytes);
}

/** The user's cache folder by the XDG base directory specification. A relative XDG_CACHE_HOME is ignored. */
export function userCacheDir(env: Environment = process.env): string {
  const dir = env["XDG_CACHE_HOME"];
  return dir?.startsWith("/") ? dir : join(homedir(), ".cache");
}

/** True when other programs can write to the user's home. Service accounts often have none. */
export function homeCanBeWritten(): boolean {
  try {
    accessSync(homedir(), constants.W_OK | constants.X_OK);
    return statSync(homedir()).isDirectory();
  } catch {
    return false;
  }
}

/** Path of the first of these programs on PATH; undefined when PATH has none of them. */
export function findProgram(names: readonly string[], env: Environment = process.env): string | undefined {
  const folders = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
