import { join } from "node:path";
import { processEnvironment } from "../config/environment.ts";
import { resolvedCacheDir } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";

/**
 * How a gateway or worker is started so that it gives back what it no longer needs. Neither can be changed once a
 * process runs: V8 sizes its heap and the C library its allocator before the first line of ours.
 */

const YOUNG_GENERATION = "--max-semi-space-size";

/**
 * MiB of each half of the young generation, instead of V8's 64: under load it fills whatever it is given. After 256
 * clients gateway and worker take 175 and 196 MB, with 32 MiB 176 and 267, at the same speed; with 8 MiB a request of 256
 * clients costs 20 % more CPU (docs/performance.md).
 */
const YOUNG_GENERATION_MIB = 16;

const COMPILE_CACHE = "NODE_COMPILE_CACHE";

const MAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_";

/**
 * Bytes from which glibc maps an allocation by itself and gives it back when it is freed. Its own threshold grows up to
 * 32 MiB with what is freed, and what lies below stays in a heap that shrinks only from its end: after 200 slow readers
 * a gateway with 22 MB in use kept 365. The buffers that sockets are read into have this size.
 */
const MAP_THRESHOLD_BYTES = 65_536;

/**
 * By default each thread that compiles or collects gets memory of its own, which keeps the most that it ever took:
 * 9 MB less in an idle worker, 17 with 1,000 streams, at the same speed.
 */
const ARENAS = "MALLOC_ARENA_MAX";

/** Lets memory-at-rest.ts collect. */
const COLLECTOR = "--expose-gc";

/** Node's arguments for a gateway or worker; a young generation that the user chose is kept. */
export function leanArguments(): readonly string[] {
  return [COLLECTOR, ...youngGeneration()];
}

function youngGeneration(): readonly string[] {
  const chosen = process.execArgv.filter(isYoungGeneration);
  if (chosen.length > 0) return chosen;
  const options = (processEnvironment()["NODE_OPTIONS"] ?? "").split(/\s+/);
  return options.some(isYoungGeneration) ? [] : [`${YOUNG_GENERATION}=${YOUNG_GENERATION_MIB}`];
}

function isYoungGeneration(argument: string): boolean {
  return argument.replaceAll("_", "-").startsWith(YOUNG_GENERATION);
}

/**
 * The environment beside them; what the user set is kept. Node keeps compiled code in the folder: a start takes half the
 * time and, in a checkout, 20 MB less per process (the stripper of types is not loaded).
 */
export function leanEnvironment(settings: Pick<Settings, "cacheDir">): Readonly<Record<string, string>> {
  const env = processEnvironment();
  return {
    [MAP_THRESHOLD]: env[MAP_THRESHOLD] ?? String(MAP_THRESHOLD_BYTES),
    [ARENAS]: env[ARENAS] ?? "1",
    [COMPILE_CACHE]: env[COMPILE_CACHE] ?? join(resolvedCacheDir(settings), "compile"),
  };
}

/**
 * Starts this program again, in this process and with the same arguments, unless it was started lean: it does not
 * return then. It costs 40 ms. A parent with a channel starts us lean itself, as the channel would be lost; Windows has
 * no such call.
 */
export function startLean(settings: Pick<Settings, "cacheDir">): void {
  if (process.connected || process.platform === "win32") return;
  const env = definedOf(processEnvironment());
  const lean = leanEnvironment(settings);
  const missing = leanArguments().filter((argument) => !process.execArgv.includes(argument));
  if (missing.length === 0 && Object.keys(lean).every((name) => name in env)) return;
  const args = [process.argv0, ...missing, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, args, { ...env, ...lean });
}

function definedOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
