import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { processEnvironment, userCacheDir } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { readSetting } from "./read.ts";
import type { SettingValue } from "./read.ts";
import { SETTINGS } from "./settings.ts";
import type { Setting } from "./setting.ts";
import type { Settings } from "./settings.ts";
import { strangeNames } from "./strange-names.ts";
import { append } from "../core/long-lists.ts";

export interface SettingsSources {
  /** Values of command line flags, by flag name; absent or undefined when not given. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The process's own when absent. */
  readonly env?: Environment;
  /** Folder of the `.env` file, and what a relative state folder is relative to; the working directory when absent. */
  readonly cwd?: string;
}

/** The settings cannot be used. The message holds one sentence per problem, one a line. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "SettingsError";
    this.problems = problems;
  }
}

interface Source {
  /** How the setting is named in a sentence about this source. */
  readonly label: (setting: Setting) => string;
  readonly read: (setting: Setting) => unknown;
}

/**
 * Reads all settings: a flag wins over the environment, that over the `.env` file, that over the default.
 * @returns a frozen object; `stateDir` is an absolute path
 * @throws SettingsError with every problem at once
 */
export function loadSettings(sources: SettingsSources): Settings {
  const cwd = sources.cwd ?? process.cwd();
  const problems: string[] = [];
  const environment = sources.env ?? processEnvironment();
  const file = readEnvFile(join(cwd, ".env"), problems);
  append(problems, strangeNames(environment, ""));
  append(problems, strangeNames(file, " in .env"));
  const layers: readonly Source[] = [
    { label: ({ flag }) => `--${flag}`, read: ({ flag }) => sources.flags[flag] },
    { label: ({ env }) => env, read: variable(environment) },
    { label: ({ env }) => `${env} in .env`, read: variable(file) },
  ];
  const values = new Map<string, SettingValue>();
  for (const [name, setting] of Object.entries(SETTINGS)) values.set(name, pick(setting, layers, problems));
  if (problems.length > 0) throw new SettingsError(problems);
  values.set("stateDir", resolve(cwd, String(values.get("stateDir"))));
  // Every name and type comes from SETTINGS, whose keys the compiler holds equal to those of Settings.
  return Object.freeze(Object.fromEntries(values)) as unknown as Settings;
}

/** The folder for what is fetched or unpacked once, absolute. */
export function resolvedCacheDir(settings: Pick<Settings, "cacheDir">, env?: Environment): string {
  return settings.cacheDir === "" ? join(userCacheDir(env), "stargazer") : resolve(settings.cacheDir);
}

/** The environment variables that give a child process the same settings. */
export function settingsToEnvironment(settings: Settings): Record<string, string> {
  const values: Readonly<Record<string, unknown>> = { ...settings };
  return Object.fromEntries(
    Object.entries(SETTINGS).map(([name, setting]) => [setting.env, String(values[name])]),
  );
}

function readEnvFile(path: string, problems: string[]): Environment {
  try {
    return parseEnv(readFileSync(path, "utf8"));
  } catch (error) {
    if (!hasCode(error, "ENOENT")) problems.push(`The file ${path} cannot be read (${String(error)}).`);
    return {};
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** `NAME=` means "not set", except where empty text is the default: there it overrides what is set further down. */
function variable(env: Environment): Source["read"] {
  return (setting) => {
    const value = Object.hasOwn(env, setting.env) ? env[setting.env] : undefined;
    return value === "" && setting.default !== "" ? undefined : value;
  };
}

function isKeyList(setting: Setting): boolean {
  return setting.type === "text" && setting.keys === true;
}

function pick(setting: Setting, layers: readonly Source[], problems: string[]): SettingValue {
  for (const [index, { label, read }] of layers.entries()) {
    const given = read(setting);
    if (given === undefined) continue;
    if (given === "" && isKeyList(setting) && layers.slice(index + 1).some((one) => one.read(setting))) {
      problems.push(`${label(setting)} is empty, but keys are set further down: remove one of the two.`);
      break;
    }
    const result = readSetting(setting, given);
    if (result.problem === undefined) return result.value;
    problems.push(`${label(setting)} ${result.problem}.`);
    break;
  }
  return setting.default;
}
