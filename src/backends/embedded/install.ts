import { existsSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, toFault } from "../../core/fault.ts";
import { installPlan, LIBRARY, packagedEntries, type InstallPlan, type LockEntries } from "./library-lock.ts";
import { cleanInstall, findNpm, type Npm } from "./npm.ts";
import { inWorkFolder } from "./work-folder.ts";

/** As measured on Linux x64; other systems differ by some 10 MB. */
const FETCHED = "55 MB";
const INSTALLED = "85 MB";

export interface InstallOptions {
  readonly cacheDir: string;
  readonly entries: LockEntries;
  /** Takes what is told to people; standard error when absent. */
  readonly write?: (text: string) => void;
  /** The npm to use; found when absent. */
  readonly npm?: Npm | undefined;
  /** As process.platform and process.arch; those of this machine when absent. */
  readonly platform?: string;
  readonly arch?: string;
}

/**
 * Installs the library of the embedded model into the cache folder, once, and gives the path of its module. Each package
 * has the exact version that was tested and is checked by its SHA-512. Processes that install at the same time end with
 * the same whole folder. Throws one sentence: `not_implemented` where there is no binary for this machine or no npm,
 * `backend_unreachable` where npm fails.
 */
export async function installLibrary(options: InstallOptions): Promise<string> {
  const { cacheDir, entries, platform = process.platform, arch = process.arch } = options;
  const plan = installPlan(entries, platform, arch);
  const home = join(cacheDir, folderOf(plan));
  if (!isWhole(home)) await install(plan, home, options);
  return moduleIn(home);
}

/** Whether the library is there, or what is done at its first use. @param entries of the published package */
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
  return join(home, "node_modules", LIBRARY, "dist/index.js");
}

function isWhole(home: string): boolean {
  return existsSync(moduleIn(home));
}

function folderOf({ version, binary }: InstallPlan): string {
  return `${LIBRARY}-${version}-${binary.split("/").at(-1)}`;
}

async function install(plan: InstallPlan, home: string, options: InstallOptions): Promise<void> {
  const { cacheDir, write = (text) => void process.stderr.write(text) } = options;
  const npm = "npm" in options ? options.npm : findNpm();
  if (npm === undefined) throw new Fault("not_implemented", sentence(plan, "there is no npm on PATH"));
  write(
    `Installing ${LIBRARY} ${plan.version}, which runs the embedded model, with npm: about ${FETCHED} to fetch, ${INSTALLED} in ${home}, once.\n`,
  );
  try {
    await inWorkFolder(cacheDir, async (work) => {
      await writeFile(join(work, "package.json"), plan.manifest);
      await writeFile(join(work, "package-lock.json"), plan.lock);
      await cleanInstall(npm, work);
      if (!existsSync(join(work, "node_modules", plan.binary)))
        throw new Error(`npm did not install ${plan.binary}`);
      await settle(work, home);
    });
  } catch (error) {
    throw new Fault("backend_unreachable", sentence(plan, toFault(error).message), { cause: error });
  }
  write(`Installed ${LIBRARY} ${plan.version}.\n`);
}

function sentence({ version }: InstallPlan, reason: string): string {
  return `The embedded model needs the package ${LIBRARY} ${version}, which could not be installed (${reason}): start again with npm and a network, start an LLM server, or set SGNET_EMBEDDED_MODEL=off.`;
}

/** Renaming is atomic, and fails where another process was faster or left a part. */
async function settle(work: string, home: string): Promise<void> {
  try {
    await rename(work, home);
  } catch {
    if (isWhole(home)) return;
    await rm(home, { recursive: true, force: true });
    await rename(work, home);
  }
}
