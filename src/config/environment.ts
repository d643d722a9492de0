import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** What the process is told by its surroundings. The only file that reads `process.env`. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process. */
export function processEnvironment(): Environment {
  return process.env;
}

const PARENT = "SGNET_PARENT_PID";

/** The environment for a process of this program that this one starts and talks with over its channel. */
export function ownChildEnvironment(): Environment {
  return { ...process.env, [PARENT]: String(process.pid) };
}

/** The environment for a program of others, without the variables whose names match. */
export function environmentWithout(names: RegExp): Environment {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !names.test(name)));
}

const EXPECTS_WORKER = "SGNET_PARENT_EXPECTS_WORKER";

/** Added to the environment of a gateway that is started beside a worker. */
export function workerExpected(): Environment {
  return { [EXPECTS_WORKER]: String(process.pid) };
}

/** True when {@link workerExpected} was given to this very process. */
export function expectsWorker(): boolean {
  return process.env[EXPECTS_WORKER] === String(process.ppid);
}

/** True when {@link ownChildEnvironment} was given to this very process, not to one that is further up. */
export function isOwnChild(): boolean {
  return process.env[PARENT] === String(process.ppid);
}

/**
 * Sets what the native HTTP module reads from the environment when it is loaded: call it before that.
 * @param maxHeadBytes bytes of request head taken: cookies and long tokens exceed the module's own 4096
 */
export function prepareHttpEnvironment(maxHeadBytes: number): void {
  process.env["UWS_HTTP_MAX_HEADERS_SIZE"] = String(maxHeadBytes);
}

/** The user's cache folder after the XDG base directory specification: a relative XDG_CACHE_HOME is ignored. */
export function userCacheDir(env: Environment = process.env): string {
  const dir = env["XDG_CACHE_HOME"];
  return dir?.startsWith("/") ? dir : join(homedir(), ".cache");
}

/** Whether other programs can keep something in the user's home; accounts of services often have none. */
export function homeCanBeWritten(): boolean {
  try {
    accessSync(homedir(), constants.W_OK | constants.X_OK);
    return statSync(homedir()).isDirectory();
  } catch {
    return false;
  }
}

/** Path of the first of these programs that is on PATH; undefined when none is. */
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
