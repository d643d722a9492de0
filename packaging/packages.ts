import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { manifestsOf, reachableFiles } from "./reachable-files.ts";

/** The part of the installed packages that the product runs on, laid beside it for the published package. */

const LICENCE = /^(?:licen[cs]e|notice|copying)\b/i;

export interface CopyOptions {
  /** Absolute paths of the scripts of the product. */
  readonly entries: readonly string[];
  /** Packages whose files are left out, by name. */
  readonly left: readonly string[];
  /** The folder node_modules they are copied from. */
  readonly from: string;
  /** The folder node_modules they are copied to. */
  readonly to: string;
}

/**
 * Copies each file that the program imports, with the licences of its package. Also copies the package.json files with
 * which Node reads it. Throws an Error for an import that is not installed. @returns the absolute folders of the
 * packages
 */
export function copyPackages({ entries, left, from, to }: CopyOptions): readonly string[] {
  const { files, packages, missing } = reachableFiles(entries, left);
  if (missing.length > 0) throw new Error(`Not installed: ${missing.join(", ")}`);
  const licences = packages.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => LICENCE.test(name))
      .map((name) => join(folder, name)),
  );
  const all = new Set([...files, ...files.flatMap(manifestsOf), ...licences]);
  for (const file of all) {
    const target = join(to, relative(from, file));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(file, target);
  }
  return packages;
}
