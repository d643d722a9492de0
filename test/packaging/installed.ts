import { execFile } from "node:child_process";
import { globSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { processEnvironment } from "../../src/config/environment.ts";

/** The product as a newcomer has it: built, packed and installed into an empty place, by an account with no settings. */

const ROOT = join(import.meta.dirname, "../..");
const runFile = promisify(execFile);

export interface Installed {
  /** The folder of the package. */
  readonly root: string;
  /** The command `sgnet`. */
  readonly program: string;
  /** A folder to work in, without a `.env`. */
  readonly cwd: string;
  /** PATH and HOME, and nothing else. */
  readonly env: Readonly<Record<string, string>>;
  /** Files of the package, below its folder, with slashes. */
  readonly files: readonly string[];
  /** Size of the installation on the disk, in bytes, as `du` counts. */
  readonly bytes: number;
  remove(): void;
}

/** Builds and packs this checkout and installs it with npm, which needs no network for it. */
export async function installPackage(): Promise<Installed> {
  const base = mkdtempSync(join(tmpdir(), "sgnet-package-"));
  const [home, prefix, cwd] = ["home", "prefix", "cwd"].map((name) => join(base, name));
  for (const folder of [home, prefix, cwd]) mkdirSync(folder ?? "");
  const env = {
    PATH: [dirname(process.execPath), processEnvironment()["PATH"] ?? ""].join(delimiter),
    HOME: home ?? "",
  };
  const npm = async (folder: string, args: readonly string[]): Promise<void> => {
    await runFile("npm", [...args, "--no-update-notifier", "--loglevel=error"], { cwd: folder, env });
  };
  await npm(ROOT, ["run", "pack", "--", base]);
  const [tarball = ""] = globSync("*.tgz", { cwd: base });
  await npm(base, ["install", "--global", "--offline", `--prefix=${prefix}`, join(base, tarball)]);
  const root = join(prefix ?? "", "lib/node_modules/stargazer-network-gateway");
  return {
    root,
    program: join(prefix ?? "", "bin/sgnet"),
    cwd: cwd ?? "",
    env,
    files: filesBelow(root).filter((file) => lstatSync(join(root, file)).isFile()),
    bytes: bytesOnDisk(prefix ?? ""),
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

function filesBelow(folder: string): string[] {
  return globSync("**/{*,.*}", { cwd: folder }).map((file) => file.replaceAll("\\", "/"));
}

function bytesOnDisk(folder: string): number {
  return filesBelow(folder).reduce((sum, file) => sum + lstatSync(join(folder, file)).blocks * 512, 0);
}
