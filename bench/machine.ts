/** Where and with what a run was measured. No host name: results are published. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import { productBuild, productVersion } from "../src/config/version.ts";
import { peerVersions } from "./peers.ts";

/** Facts by name, in the order shown. */
export type Facts = Readonly<Record<string, string>>;

/** The machine and the versions of everything measured. @param legs names of the ways */
export function machineFacts(legs: readonly string[]): Facts {
  const cpu = os.cpus()[0]?.model ?? "unknown CPU";
  const memoryGb = Math.round(os.totalmem() / 1e9);
  return {
    machine: `${os.availableParallelism()} × ${cpu}, ${memoryGb} GB, ${os.type()} ${os.release()} ${os.arch()}`,
    "load before": os
      .loadavg()
      .map((load) => load.toFixed(2))
      .join(" "),
    versions: [
      `stargazer ${[productVersion(), productBuild()].filter((part) => part !== "").join(" ")}`,
      `node ${process.versions.node}`,
      `redis ${redisVersion()}`,
      ...["uWebSockets.js", "undici", "redis"].map((name) => `npm ${name} ${packageVersion(name)}`),
      ...peerVersions(legs),
    ].join(", "),
  };
}

function redisVersion(): string {
  try {
    return (
      /v=([\d.]+)/.exec(execFileSync("redis-server", ["--version"], { encoding: "utf8" }))?.[1] ?? "unknown"
    );
  } catch {
    return "not found";
  }
}

function packageVersion(name: string): string {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return String((JSON.parse(readFileSync(file, "utf8")) as { version?: unknown }).version);
}
