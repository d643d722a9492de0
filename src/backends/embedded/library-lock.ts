import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../../core/fault.ts";

/** Lock file of the packages for the embedded model: exact versions with hashes, for one machine. */

/** The package that runs models in this process. */
export const LLAMA_LIBRARY = "node-llama-cpp";

/**
 * Lock entries of the published package, beside this file. A checkout has none, as its packages are already installed.
 */
export const LOCK_FILE = "library-lock.json";

/** An entry of a package-lock.json, as npm writes it. */
export interface LockEntry {
  readonly [field: string]: unknown;
  readonly version?: string;
  readonly integrity?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Entries by their folder, such as `node_modules/a/node_modules/b`. */
export type LockEntries = Readonly<Record<string, LockEntry>>;

/** Input of `npm ci`. */
export interface InstallPlan {
  readonly version: string;
  /** The package with the native code of this machine, e.g. `@node-llama-cpp/linux-x64`. */
  readonly binary: string;
  /** The text of package.json. */
  readonly manifest: string;
  /** The text of package-lock.json. */
  readonly lock: string;
}

const SYSTEMS: Readonly<Record<string, string>> = { linux: "linux", darwin: "mac", win32: "win" };
const PROCESSORS: Readonly<Record<string, string>> = {
  x64: "x64",
  arm64: "arm64",
  arm: "armv7l",
  riscv64: "riscv64",
};
/** Native packages of the library, including those for GPUs, which the embedded model does not use. */
const NATIVE = /^(?:node_modules\/)?@node-llama-cpp\//;

/** Lock entries of the published package; undefined in a checkout. */
export function packagedEntries(): LockEntries | undefined {
  try {
    return JSON.parse(readFileSync(join(import.meta.dirname, LOCK_FILE), "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Selects the packages for one machine, with a single native package. npm alone would install several on x64, and those
 * for GPUs, hundreds of MB. Throws `not_implemented` where no native package fits.
 * @param platform as process.platform
 * @param arch as process.arch
 */
export function installPlan(entries: LockEntries, platform: string, arch: string): InstallPlan {
  const library = entries[`node_modules/${LLAMA_LIBRARY}`];
  const { version = "", optionalDependencies = {} } = library ?? {};
  const place = `@node-llama-cpp/${SYSTEMS[platform] ?? platform}-${PROCESSORS[arch] ?? arch}`;
  const binary = [place, `${place}-metal`].find((name) => Object.hasOwn(optionalDependencies, name));
  if (binary === undefined) {
    throw new Fault(
      "not_implemented",
      `The embedded model does not run on ${platform} with ${arch}: start an LLM server, or set SGNET_EMBEDDED_MODEL=off.`,
    );
  }
  const own = { [binary]: version };
  const kept = Object.entries(entries).filter(
    ([path]) => !NATIVE.test(path) || path === `node_modules/${binary}`,
  );
  const root = {
    name: "embedded-model",
    version: "1.0.0",
    private: true,
    dependencies: { [LLAMA_LIBRARY]: version },
  };
  const packages = {
    "": root,
    ...Object.fromEntries(kept),
    [`node_modules/${LLAMA_LIBRARY}`]: { ...library, optionalDependencies: own },
  };
  const lock = { name: root.name, version: root.version, lockfileVersion: 3, requires: true, packages };
  return { version, binary, manifest: textOf(root), lock: textOf(lock) };
}

function textOf(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
