import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { failureOf } from "../rig/run-program.ts";

/** Kept between runs, and removed with the npm packages. Agents are large, and no dependencies of ours. */
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/agents");

/**
 * A folder with this npm package, `name@version`, installed on the first call of all. Gives the reason as
 * `{ missing }` where that is impossible.
 */
export async function install(requirement: string): Promise<string | { readonly missing: string }> {
  const folder = join(CACHE, requirement.replaceAll(/[^\w.-]/g, "+"));
  const stamp = join(folder, ".installed");
  if (existsSync(stamp)) return folder;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true }));
  const flags = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];
  const failure = await failureOf("npm", ["install", "--prefix", folder, ...flags, requirement]);
  if (failure !== undefined) return { missing: `${requirement} was not installed: ${failure[0]}` };
  await writeFile(stamp, "");
  return folder;
}
