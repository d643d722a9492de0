import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { extname, join } from "node:path";
import { ownChildEnvironment } from "../config/environment.ts";
import type { Environment } from "../config/environment.ts";
import { settingsToEnvironment } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { isObject } from "../core/json.ts";
import { leanArguments, leanEnvironment } from "./lean-start.ts";
import type { Run } from "./supervised.ts";

/** Beyond the drain limit, until the process is killed. */
const STOP_GRACE_MS = 5000;

/** The program's entry beside this folder: cli.ts in the sources, cli.js in the published package. */
const CLI = join(import.meta.dirname, `../cli${extname(import.meta.filename)}`);

/**
 * Runs a command of this program as a child process that shares standard output and error.
 * @param environment added to that of the settings
 */
export function launchOwnProcess(
  command: "gateway" | "worker",
  settings: Settings,
  environment: Environment = {},
): Run {
  const child = spawn(process.execPath, [...leanArguments(), CLI, command], {
    env: {
      ...leanEnvironment(settings),
      ...ownChildEnvironment(),
      ...settingsToEnvironment(settings),
      ...environment,
    },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    // Its own process group: Ctrl-C reaches this process only, which stops the others in order.
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
  ready.catch(() => {}); // Whoever waits for it learns of it; nobody has to.
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
