import { existsSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { environmentWithout, findProgram, homeCanBeWritten } from "../../config/environment.ts";
import { ProgramError, runProgram } from "./program.ts";

/** How npm is called. */
export interface Npm {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * Nothing of the packages runs while they are installed. The flags win over what the user has set; the registry, a proxy
 * and the cache stay the user's. Without a network npm gives up after seconds, not after two minutes.
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

/** A script of a workspace that starts us sets them, and no flag takes them back. */
const WORKSPACE = /^npm_config_(?:include_)?workspaces?(?:_root)?$/i;

const SCRIPT = /\.[cm]?js$/;
/** Lines of npm's that tell no reason. */
const NO_REASON = /^(?:code|errno|syscall|type|path|dest|network)\b|^A complete log|^Log files|^$/;

/** The npm beside this Node, else the one on PATH; undefined where there is none. */
export function findNpm(): Npm | undefined {
  const folder = dirname(process.execPath);
  const beside = [join(folder, "node_modules/npm/bin/npm-cli.js"), join(folder, "npm")];
  const found = beside.find((path) => existsSync(path)) ?? findProgram(["npm"]);
  if (found === undefined) return undefined;
  const program = realpathSync(found);
  // Its first line would look for another Node on PATH.
  return SCRIPT.test(program)
    ? { command: process.execPath, args: [program] }
    : { command: program, args: [] };
}

/** Installs what the package-lock.json of a folder says, checked by its hashes. Throws an Error with npm's reason. */
export async function cleanInstall({ command, args }: Npm, folder: string): Promise<void> {
  // npm keeps what it fetches in the user's home, where there is one.
  const cache = join(folder, ".npm-cache");
  const ownCache = homeCanBeWritten() ? [] : [`--cache=${cache}`];
  try {
    const env = environmentWithout(WORKSPACE);
    await runProgram(command, [...args, ...CLEAN_INSTALL, ...ownCache], { folder, env });
  } catch (error) {
    const said = error instanceof ProgramError ? reasonOf(error.output) : undefined;
    throw said === undefined ? error : new Error(said, { cause: error });
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
}

/** The first line that says why. @param output as npm writes it, such as `npm error code E404` */
export function reasonOf(output: string): string | undefined {
  return output
    .split("\n")
    .map((line) => line.replace(/^npm (?:error|ERR!) ?/, "").trim())
    .find((line) => !NO_REASON.test(line));
}
