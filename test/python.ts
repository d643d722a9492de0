import { spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** A Python and where it finds the packages that were asked for. */
export interface Python {
  readonly command: string;
  /** For its environment. */
  readonly packages: string;
}

/** Kept between runs, and removed with the npm packages. */
const CACHE = join(import.meta.dirname, "../node_modules/.cache/python-packages");

/**
 * Python with these packages, each `name==version`: installed on the first call of all into a folder of their own.
 * Gives the reason as text where that is impossible: no Python, or no package index that pip can reach.
 */
export async function pythonWith(...requirements: readonly string[]): Promise<Python | string> {
  const command = "python3";
  const id = createHash("sha256").update(requirements.join()).digest("hex").slice(0, 16);
  const packages = join(CACHE, id);
  if (existsSync(packages)) return { command, packages };
  const making = `${packages}.${randomUUID()}`;
  await mkdir(making, { recursive: true });
  const flags = ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--quiet"];
  const failure = await run(command, ["-m", "pip", "install", ...flags, "--target", making, ...requirements]);
  if (failure !== undefined) {
    await rm(making, { recursive: true });
    return `${requirements.join(", ")}: not installed: ${failure}`;
  }
  // Whoever is first wins; the others made the same.
  await rename(making, packages).catch(() => rm(making, { recursive: true }));
  return { command, packages };
}

/** The last line of what a program that fails says; undefined when it succeeds. */
async function run(command: string, args: readonly string[]): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  child.on("error", (error) => resolve(error.message));
  child.on("close", (code) => {
    resolve(code === 0 ? undefined : (errors.trimEnd().split("\n").at(-1) ?? `code ${code}`));
  });
  return promise;
}
