import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { failureOf } from "./run-program.ts";
import { until } from "./until.ts";

/** A Python and where it finds the packages that were asked for. */
export interface Python {
  readonly command: string;
  /** For its environment. */
  readonly packages: string;
}

/** Kept between runs, and removed with the npm packages. */
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/python-packages");

/** Longer than a slow package index takes, ms. */
const INSTALL_LIMIT_MS = 300_000;

/**
 * Python with these packages, each `name==version`: installed on the first call of all into a folder of their own.
 * Gives the reason as text where that is impossible: no Python, or no package index that pip can reach.
 */
export async function pythonWith(...requirements: readonly string[]): Promise<Python | string> {
  const command = "python3";
  const id = createHash("sha256").update(requirements.join()).digest("hex").slice(0, 16);
  const packages = join(CACHE, id);
  const free = await turnFor(packages);
  try {
    if (existsSync(packages)) return { command, packages };
    const failure = await install(command, packages, requirements);
    if (failure !== undefined) return `${requirements.join(", ")}: not installed: ${failure}`;
  } finally {
    free();
  }
  return { command, packages };
}

/** Waits until no other process installs the same, and gives what ends this one's turn. */
async function turnFor(packages: string): Promise<() => void> {
  await mkdir(CACHE, { recursive: true });
  const lock = `${packages}.lock`;
  return until(
    "the turn to install",
    () => {
      if (existsSync(packages)) return () => {};
      try {
        writeFileSync(lock, String(process.pid), { flag: "wx" });
        return () => rmSync(lock, { force: true });
      } catch {
        if (!isOwned(lock)) rmSync(lock, { force: true });
        return undefined;
      }
    },
    INSTALL_LIMIT_MS,
  );
}

/** False when the process that made a lock has ended without its removal. */
function isOwned(lock: string): boolean {
  try {
    const owner = Number(readFileSync(lock, "utf8"));
    // Zero while it is being written.
    return owner === 0 || process.kill(owner, 0);
  } catch {
    return false;
  }
}

/** Why it failed; undefined when it did not. */
async function install(
  command: string,
  packages: string,
  requirements: readonly string[],
): Promise<string | undefined> {
  const making = `${packages}.${randomUUID()}`;
  await mkdir(making, { recursive: true });
  const flags = ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet"];
  const failure = await failureOf(command, [
    "-m",
    "pip",
    "install",
    ...flags,
    "--target",
    making,
    ...requirements,
  ]);
  if (failure !== undefined) {
    await rm(making, { recursive: true });
    return failure.at(-1);
  }
  // Two that find the lock of one that has died may both install: the first wins, they made the same.
  await rename(making, packages).catch(() => rm(making, { recursive: true }));
  return undefined;
}
