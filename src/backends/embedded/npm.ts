import { existsSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { environmentWithout, findProgram, homeCanBeWritten } from "../../config/environment.ts";
import { ProgramError, runProgram } from "./program.ts";

/** Command line that runs npm. */
export interface Npm {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Arguments of npm. No script of a package runs during the installation. The flags override the user's settings, except
 * for registry, proxy and cache. Without a network npm fails after seconds instead of two minutes.
 */
const CLEAN_INSTALL = [
  "ci",
  "--ignore-scripts",
  "--global=false",
  "--location=project",
  "--package-lock-only=false",
  "--install-strategy=hoisted",
  "--dry-run=false",
  "--omit=dev",
  "--include=optional",
  "--no-audit",
  "--no-fund",
  "--no-update-notifier",
  "--loglevel=error",
  "--logs-max=0",
  "--fetch-retries=2",
  "--fetch-retry-mintimeout=1000",
  "--fetch-retry-maxtimeout=5000",
];

/** Variables that an npm workspace script sets. No flag overrides them. */
const WORKSPACE = /^npm_config_(?:include_)?workspaces?(?:_root)?$/i;

const SCRIPT = /\.[cm]?js$/;
/** Lines of npm's output that give no reason. */
const NO_REASON = /^(?:code|errno|syscall|type|path|dest|network)\b|^A complete log|^Log files|^$/;

/** The npm beside this Node, else the one on PATH; undefined where there is none. */
export function findNpm(): Npm | undefined {
  const folder = dirname(process.execPath);
  const beside = [join(folder, "node_modules/npm/bin/npm-cli.js"), join(folder, "npm")];
  const found = beside.find((path) => existsSync(path)) ?? findProgram(["npm"]);
  if (found === undefined) return undefined;
  const program = realpathSync(found);
  // Its first line would use another Node on PATH.
  return SCRIPT.test(program)
    ? { command: process.execPath, args: [program] }
    : { command: program, args: [] };
}

/** Installs the package-lock.json of a folder, checked by its hashes. Throws an Error with npm's reason. */
export async function cleanInstall({ command, args }: Npm, folder: string): Promise<void> {
  // npm needs a cache folder where the user has no home.
  const cache = join(folder, ".npm-cache");
  const ownCache = homeCanBeWritten() ? [] : [`--cache=${cache}`];
  try {
    const env = environmentWithout(WORKSPACE);
    await runProgram(command, [...args, ...CLEAN_INSTALL, ...ownCache], { folder, env });
  } catch (error) {
    const reason = error instanceof ProgramError ? npmErrorLine(error.output) : undefined;
    throw reason === undefined ? error : new Error(reason, { cause: error });
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

/** The first line with a reason. @param output npm's output, such as `npm error code E404` */
export function npmErrorLine(output: string): string | undefined {
  return output
    .split("\n")
    .map((line) => line.replace(/^npm (?:error|ERR!) ?/, "").trim())
    .find((line) => !NO_REASON.test(line));
}
