import { existsSync, readFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** Which files of the installed packages a program reaches, by what its files import and require. */

/** Specifiers in `import`, `export … from`, `import()`, `require()` and `require.resolve()`; comments may add some. */
const IMPORTS = /(?:\bfrom|\bimport)\s?\(?\s?["']([^"'\n]+)["']/g;
const REQUIRES = /\brequire(?:\.resolve)?\(["'`]([^"'`\n]+)["'`]\)/g;

const SCRIPT = /\.[cm]?js$/;
/** Files that Node loads; types that a comment names are not among them. */
const LOADED = /\.(?:[cm]?js|json|node|wasm)$/;
/** A package, perhaps with a path into it. */
const BARE = /^(?:@[\w.-]+\/)?\w[\w.-]*(?:\/\S*)?$/;
const NODE_MODULES = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/;

/** The part of the packages that the program needs. */
export interface ReachableFiles {
  /** Absolute paths of the files that are reached. */
  readonly files: readonly string[];
  /** Folders of the packages they belong to. */
  readonly packages: readonly string[];
  /** `importer -> package` of what the entries import and is not installed. */
  readonly missing: readonly string[];
}

/**
 * Follows the imports of scripts into the packages they name. Needs Node's flag --experimental-import-meta-resolve:
 * the packages of an importer are found from its own folder.
 * @param entries absolute paths of scripts
 * @param left packages whose files are left out, by name
 */
export function reachableFiles(entries: readonly string[], left: readonly string[]): ReachableFiles {
  const seen = new Set<string>(entries);
  const missing: string[] = [];
  for (const file of seen) {
    if (!SCRIPT.test(file)) continue;
    for (const { specifier, found } of edgesOf(file)) {
      if (isBuiltin(specifier) || left.includes(packageName(specifier))) continue;
      if (found !== undefined) seen.add(found);
      else if (packageOf(file) === undefined && BARE.test(specifier)) missing.push(`${file} -> ${specifier}`);
    }
  }
  const files = [...seen].filter((file) => packageOf(file) !== undefined).toSorted();
  const packages = new Set(files.flatMap((file) => packageOf(file) ?? []));
  return { files, packages: [...packages].toSorted(), missing };
}

/** The folder of the package that a file belongs to; undefined of a file in none. */
export function packageOf(file: string): string | undefined {
  return NODE_MODULES.exec(file)?.[1];
}

interface Edge {
  readonly specifier: string;
  /** Absolute path; undefined where it is not installed. */
  readonly found: string | undefined;
}

function edgesOf(file: string): Edge[] {
  const text = readFileSync(file, "utf8");
  return [
    ...Array.from(text.matchAll(IMPORTS), ([, specifier = ""]) => ({
      specifier,
      found: imported(specifier, file),
    })),
    ...Array.from(text.matchAll(REQUIRES), ([, specifier = ""]) => ({
      specifier,
      found: required(specifier, file),
    })),
  ];
}

function imported(specifier: string, importer: string): string | undefined {
  try {
    const url = import.meta.resolve(specifier, pathToFileURL(importer));
    const path = url.startsWith("file:") ? fileURLToPath(url) : "";
    return LOADED.test(path) && existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function required(specifier: string, importer: string): string | undefined {
  try {
    return createRequire(importer).resolve(specifier);
  } catch {
    return undefined;
  }
}

/** `@scope/name` or `name` of a specifier; a relative one is named by its first part. */
function packageName(specifier: string): string {
  const [first = "", second = ""] = specifier.split("/");
  return first.startsWith("@") ? join(first, second).replaceAll("\\", "/") : first;
}

/** The package.json files that Node reads for a file: in its folder and all folders up to its package. */
export function manifestsOf(file: string): string[] {
  const top = packageOf(file);
  if (top === undefined) return [];
  const manifests: string[] = [];
  for (let folder = dirname(file); folder.length >= top.length; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest)) manifests.push(manifest);
  }
  return manifests;
}
