import { existsSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, toFault } from "../../core/fault.ts";
import {
  installPlan,
  LLAMA_LIBRARY,
  packagedEntries,
  type InstallPlan,
  type LockEntries,
} from "./library-lock.ts";
import { cleanInstall, findNpm, type Npm } from "./npm.ts";
import { inWorkFolder } from "./work-folder.ts";

/** Sizes measured on Linux x64; other systems differ by about 10 MB. */
const FETCHED = "55 MB";
const INSTALLED = "85 MB";

export interface InstallOptions {
  readonly cacheDir: string;
  readonly entries: LockEntries;
  /** Takes messages for people; absent: standard error. */
  readonly write?: (text: string) => void;
  /** The npm to use; absent: the one of this machine. */
  readonly npm?: Npm | undefined;
  /** Values of process.platform and process.arch; absent: as in this process. */
  readonly platform?: string;
  readonly arch?: string;
}

/**
 * Installs the library of the embedded model into the cache folder, once, and returns the path of its module. Each
 * package has the tested version and is checked by its SHA-512. Processes that install at the same time end with the
 * same complete folder.
 *
 * Throws one sentence: `not_implemented` without a binary for this machine or without npm, `backend_unreachable` when
 * npm fails.
 */
export async function installLibrary(options: InstallOptions): Promise<string> {
  const { cacheDir, entries, platform = process.platform, arch = process.arch } = options;
  const plan = installPlan(entries, platform, arch);
  const home = join(cacheDir, folderOf(plan));
  if (!isWhole(home)) await install(plan, home, options);
  return moduleIn(home);
}

/** State of the library. @param entries lock entries of the published package */
export function libraryState(
  cacheDir: string,
  entries: LockEntries | undefined = packagedEntries(),
): "there" | "to be installed" | "no npm" {
  if (entries === undefined) return "there";
  const home = join(cacheDir, folderOf(installPlan(entries, process.platform, process.arch)));
  if (isWhole(home)) return "there";
  return findNpm() === undefined ? "no npm" : "to be installed";
}

function moduleIn(home: string): string {
  return join(home, "node_modules", LLAMA_LIBRARY, "dist/index.js");
}

function isWhole(home: string): boolean {
  return existsSync(moduleIn(home));
}

function folderOf({ version, binary }: InstallPlan): string {
  return `${LLAMA_LIBRARY}-${version}-${binary.split("/").at(-1)}`;
}

async function install(plan: InstallPlan, home: string, options: InstallOptions): Promise<void> {
  const { cacheDir, write = (text) => void process.stderr.write(text) } = options;
  const npm = "npm" in options ? options.npm : findNpm();
  if (npm === undefined) throw new Fault("not_implemented", sentence(plan, "there is no npm on PATH"));
  write(
    `Installing ${LLAMA_LIBRARY} ${plan.version}, which runs the embedded model, with npm: about ${FETCHED} to fetch, ${INSTALLED} in ${home}, once.\n`,
  );
  try {
    await inWorkFolder(cacheDir, async (work) => {
      await writeFile(join(work, "package.json"), plan.manifest);
      await writeFile(join(work, "package-lock.json"), plan.lock);
      await cleanInstall(npm, work);
      if (!existsSync(join(work, "node_modules", plan.binary)))
        throw new Error(`npm did not install ${plan.binary}`);
      await renameIntoCache(work, home);
    });
  } catch (error) {
    throw new Fault("backend_unreachable", sentence(plan, toFault(error).message), { cause: error });
  }
  write(`Installed ${LLAMA_LIBRARY} ${plan.version}.\n`);
}

function sentence({ version }: InstallPlan, reason: string): string {
  return `The embedded model needs the package ${LLAMA_LIBRARY} ${version}, which could not be installed (${reason}): start again with npm and a network, start an LLM server, or set SGNET_EMBEDDED_MODEL=off.`;
}

/** Renames the folder into the cache. Renaming is atomic. It fails when another process was faster or left a part. */
async function renameIntoCache(work: string, home: string): Promise<void> {
  try {
    await rename(work, home);
  } catch {
    if (isWhole(home)) return;
    await rm(home, { recursive: true, force: true });
    await rename(work, home);
  }
}
