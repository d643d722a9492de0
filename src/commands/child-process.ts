import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { extname, join } from "node:path";
import { supervisedEnvironment } from "../config/environment.ts";
import type { Environment } from "../config/environment.ts";
import { settingsToEnvironment } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { isObject } from "../core/json.ts";
import { processFlags, flaggedEnvironment } from "./process-flags.ts";
import type { ProcessRun } from "./supervised.ts";

/** Time after the drain limit until the process is killed, ms: more than the last words of a worker take, 6 s. */
const STOP_GRACE_MS = 8000;

/** Entry of the program: cli.ts in the sources, cli.js in the published package. */
const CLI = join(import.meta.dirname, `../cli${extname(import.meta.filename)}`);

/**
 * Runs a command of this program as a child process that shares standard output and error.
 * @param environment variables added to those of the settings
 */
export function launchChildProcess(
  command: "gateway" | "worker",
  settings: Settings,
  environment: Environment = {},
): ProcessRun {
  const child = spawn(process.execPath, [...processFlags(), CLI, command], {
    env: {
      ...flaggedEnvironment(settings),
      ...supervisedEnvironment(),
      ...settingsToEnvironment(settings),
      ...environment,
    },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    // A process group of its own: Ctrl-C reaches only this process, which stops the children in order.
    detached: true,
  });
  const exited = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });
  const ready = new Promise<void>((resolve, reject) => {
    void exited.then(() => reject(new Error(`The ${command} ended before it was ready.`)));
    child.on("message", (message) => {
      const problem = isObject(message) ? message["problem"] : undefined;
      if (typeof problem === "string") reject(new Error(problem));
      else resolve();
    });
  });
  // A caller may ignore a failed start.
  ready.catch(() => {});
  return {
    ready,
    exited,
    stop: () => stopChild(child, exited, settings.drainMs + settings.drainGraceMs + STOP_GRACE_MS),
    kill: () => void child.kill("SIGKILL"),
  };
}

async function stopChild(child: ChildProcess, exited: Promise<void>, limitMs: number): Promise<void> {
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), limitMs);
  await exited;
  clearTimeout(force);
}
