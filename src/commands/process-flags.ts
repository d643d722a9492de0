import { join } from "node:path";
import { processEnvironment } from "../config/environment.ts";
import { resolvedCacheDir } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";

/**
 * Flags and variables with which gateways and workers free unused memory. They must be set before the start: V8 sizes
 * its heap and the C library its allocator first.
 */

const YOUNG_GENERATION = "--max-semi-space-size";

/**
 * MiB of each half of the young generation, instead of V8's 64: under load it fills all of it. After 256 clients,
 * gateway and worker use 175 and 196 MB. With 32 MiB it is 176 and 267 MB at the same speed. With 8 MiB, a request of
 * 256 clients costs 20 % more CPU (docs/performance.md).
 */
const YOUNG_GENERATION_MIB = 16;

const COMPILE_CACHE = "NODE_COMPILE_CACHE";

const MAP_THRESHOLD = "MALLOC_MMAP_THRESHOLD_";

/**
 * Smallest allocation, in bytes, that glibc maps by itself and unmaps when it is freed. Its own threshold grows up to
 * 32 MiB. Smaller allocations stay in a heap that shrinks only from its end. After 200 slow readers, a gateway with 22
 * MB in use kept 365 MB. The buffers for socket reads have this size.
 */
const MAP_THRESHOLD_BYTES = 65_536;

/**
 * Number of glibc arenas. By default, each thread that compiles or collects gets an arena, which keeps its peak. One
 * arena saves 9 MB in an idle worker and 17 MB with 1,000 streams, at the same speed.
 */
const ARENAS = "MALLOC_ARENA_MAX";

/** Exposes the collector to idle-memory.ts. */
const COLLECTOR = "--expose-gc";

/** Node's arguments for a gateway or worker. A young generation chosen by the user is kept. */
export function processFlags(): readonly string[] {
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
 * The environment for a gateway or worker; the user's values are kept. Node keeps compiled code in the folder, which
 * halves the time of a start. In a checkout, it also saves 20 MB per process, as the type stripper is not loaded.
 */
export function flaggedEnvironment(settings: Pick<Settings, "cacheDir">): Readonly<Record<string, string>> {
  const env = processEnvironment();
  return {
    [MAP_THRESHOLD]: env[MAP_THRESHOLD] ?? String(MAP_THRESHOLD_BYTES),
    [ARENAS]: env[ARENAS] ?? "1",
    [COMPILE_CACHE]: env[COMPILE_CACHE] ?? join(resolvedCacheDir(settings), "compile"),
  };
}

/**
 * Replaces this process with the same program and arguments plus the flags, unless it has them; then it does not
 * return. This takes 40 ms. A parent with a channel sets the flags itself, as the channel would be lost. Windows has no
 * such call.
 */
export function startWithFlags(settings: Pick<Settings, "cacheDir">): void {
  if (process.connected || process.platform === "win32") return;
  const env = definedOf(processEnvironment());
  const flagged = flaggedEnvironment(settings);
  const missing = processFlags().filter((argument) => !process.execArgv.includes(argument));
  if (missing.length === 0 && Object.keys(flagged).every((name) => name in env)) return;
  const args = [process.argv0, ...missing, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, args, { ...env, ...flagged });
}

function definedOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
