import { execFileSync } from "node:child_process";
import { delimiter } from "node:path";
import { REDIS_PROGRAMS } from "../../../src/local-redis/redis-child.ts";
import { findProgram, processEnvironment } from "../../../src/config/environment.ts";

/** A Redis or Valkey server to test with. */
export interface RedisProgram {
  readonly path: string;
  /** E.g. "Redis 7.0.15". */
  readonly name: string;
}

/** The installed one, or those of SGNET_TEST_REDIS_BINARIES: paths as in PATH. */
export function redisPrograms(): readonly RedisProgram[] {
  const listed = processEnvironment()["SGNET_TEST_REDIS_BINARIES"] ?? "";
  const installed = findProgram(REDIS_PROGRAMS);
  const paths = listed === "" ? [installed ?? ""] : listed.split(delimiter);
  return paths.filter((path) => path !== "").map((path) => ({ path, name: nameOf(path) }));
}

function nameOf(path: string): string {
  const text = execFileSync(path, ["--version"], { encoding: "utf8" });
  // The first Valkey does not say that it is one.
  const [, kind = "Valkey", version = "of unknown version"] =
    /^(?:(\w+) )?[Ss]erver v=(\S+)/.exec(text) ?? [];
  return `${kind} ${version}`;
}
