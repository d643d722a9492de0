import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { findProgram } from "../../src/config/environment.ts";
import { atExit } from "../rig/at-exit.ts";

const run = promisify(execFile);

/** Tools that some faults need: a compiler for {@link buildClock}, and the right to trace a process. */
export type Tool = "cc" | "strace";

const CLOCK_SOURCE = new URL("clock.c", import.meta.url).pathname;

/** Builds the library that shifts the wall clock of a process that preloads it. Undefined where that cannot be done. */
export async function buildClock(path: string): Promise<string | undefined> {
  if (process.platform !== "linux" || findProgram(["cc"]) === undefined) return undefined;
  const built = run("cc", ["-shared", "-fPIC", "-O2", "-o", path, CLOCK_SOURCE]);
  return built.then(
    () => path,
    () => undefined,
  );
}

/** The tools that this machine has. */
export async function findTools(): Promise<ReadonlySet<Tool>> {
  const tools = new Set<Tool>();
  if (process.platform === "linux" && findProgram(["cc"]) !== undefined) tools.add("cc");
  if (await canTrace()) tools.add("strace");
  return tools;
}

/** True when system calls of another process can be meddled with: not every machine allows it to everyone. */
async function canTrace(): Promise<boolean> {
  if (findProgram(["strace"]) === undefined) return false;
  const patient = spawn("sleep", ["60"], { stdio: "ignore" });
  const spare = atExit(() => patient.kill("SIGKILL"));
  try {
    const letGo = await meddle(patient.pid ?? 0, ["-e", "trace=none"]);
    await letGo();
    return true;
  } catch {
    return false;
  } finally {
    patient.kill("SIGKILL");
    spare();
  }
}

/**
 * Meddles with the system calls of a process and all its threads, as the arguments tell strace.
 * Resolves when it has begun, with what ends it. Rejects with what strace says when it may not.
 */
export async function meddle(pid: number, args: readonly string[]): Promise<() => Promise<void>> {
  const child = spawn("strace", ["-f", "-o", "/dev/null", "-p", String(pid), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const spare = atExit(() => child.kill("SIGKILL"));
  const exit = once(child, "exit").finally(spare);
  const begun = Promise.withResolvers<void>();
  let said = "";
  createInterface(child.stderr).on("line", (line) => {
    said = line;
    if (line.includes(" attached")) begun.resolve();
  });
  exit.then(
    () => begun.reject(new Error(`strace: ${said}`)),
    (error: unknown) => begun.reject(error),
  );
  await begun.promise;
  return async () => {
    child.kill("SIGTERM");
    await exit;
  };
}
