import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { processEnvironment, userCacheDir } from "./environment.ts";
import type { Environment } from "./environment.ts";
import { readSetting } from "./read.ts";
import type { SettingReading, SettingValue } from "./read.ts";
import { readSecretFile, secretFileOf, secretFiles } from "./secret-files.ts";
import type { SecretFile } from "./secret-files.ts";
import { SETTINGS } from "./settings.ts";
import type { Setting } from "./setting.ts";
import type { Settings } from "./settings.ts";
import { unknownSettings } from "./unknown-settings.ts";
import { append } from "../core/long-lists.ts";

export interface SettingsSources {
  /** Values of command line flags by name; absent or undefined when not given. */
  readonly flags: Readonly<Record<string, unknown>>;
  /** The environment; absent: that of this process. */
  readonly env?: Environment;
  /** Folder of the `.env` file and base of a relative state folder; absent: the working directory. */
  readonly cwd?: string;
}

/** The settings are invalid. The message holds one sentence per problem, each on a line. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "SettingsError";
    this.problems = problems;
  }
}

interface Source {
  /** Name of a setting, or of the file with its value, in a sentence about this source. */
  readonly label: (names: SecretFile) => string;
  readonly read: (setting: Setting) => unknown;
  /** The path of the file with the value; undefined when it is not given. */
  readonly readPath: (file: SecretFile) => unknown;
}

/**
 * Reads all settings. A flag wins over the environment, the environment over the `.env` file, the file over the
 * default.
 * @returns a frozen object; `stateDir` is an absolute path
 * @throws SettingsError with every problem at once
 */
export function loadSettings(sources: SettingsSources): Settings {
  const cwd = sources.cwd ?? process.cwd();
  const problems: string[] = [];
  const environment = sources.env ?? processEnvironment();
  const file = readEnvFile(join(cwd, ".env"), problems);
  append(problems, unknownSettings(environment, ""));
  append(problems, unknownSettings(file, " in .env"));
  const layers: readonly Source[] = [
    {
      label: ({ flag }) => `--${flag}`,
      read: ({ flag }) => sources.flags[flag],
      readPath: ({ flag }) => sources.flags[flag],
    },
    { label: ({ env }) => env, ...variables(environment) },
    { label: ({ env }) => `${env} in .env`, ...variables(file) },
  ];
  const values = new Map<string, SettingValue>();
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const reading = pick(setting, layers, cwd);
    if (reading.problem !== undefined) problems.push(reading.problem);
    values.set(name, reading.problem === undefined ? reading.value : setting.default);
  }
  if (problems.length > 0) throw new SettingsError(problems);
  values.set("stateDir", resolve(cwd, String(values.get("stateDir"))));
  // The compiler checks that SETTINGS and Settings have equal keys.
  return Object.freeze(Object.fromEntries(values)) as unknown as Settings;
}

/** The folder for downloads and other files that are made once, as an absolute path. */
export function resolvedCacheDir(settings: Pick<Settings, "cacheDir">, env?: Environment): string {
  return settings.cacheDir === "" ? join(userCacheDir(env), "stargazer") : resolve(settings.cacheDir);
}

/**
 * The environment variables that give a child process the same settings. It gets the values of secrets, not their
 * files: it must run with what this process has read.
 */
export function settingsToEnvironment(settings: Settings): Record<string, string> {
  const values: Readonly<Record<string, unknown>> = { ...settings };
  return Object.fromEntries([
    ...secretFiles().map(({ env }) => [env, ""]),
    ...Object.entries(SETTINGS).map(([name, setting]) => [setting.env, String(values[name])]),
  ]) as Record<string, string>;
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

/** Reads variables. `NAME=` means "not set", except where the default is empty: there it overrides the sources below. */
function variables(env: Environment): Pick<Source, "read" | "readPath"> {
  const valueOf = (name: string): string | undefined => (Object.hasOwn(env, name) ? env[name] : undefined);
  return {
    read: (setting) => {
      const value = valueOf(setting.env);
      return value === "" && setting.default !== "" ? undefined : value;
    },
    readPath: (file) => valueOf(file.env) || undefined,
  };
}

function isKeyList(setting: Setting): boolean {
  return setting.type === "text" && setting.keys === true;
}

/** Reads a setting from the first source that has it. The problem is a whole sentence. */
function pick(setting: Setting, layers: readonly Source[], cwd: string): SettingReading {
  const file = secretFileOf(setting);
  for (const [index, { label, read, readPath }] of layers.entries()) {
    const given = read(setting);
    const path = file === undefined ? undefined : readPath(file);
    if (file !== undefined && setting.type === "text" && path !== undefined) {
      if (given !== undefined && given !== "") {
        return { problem: `${label(setting)} and ${label(file)} are both given: remove one of the two.` };
      }
      const content = readSecretFile(setting, path, cwd);
      return labelled(
        content.problem === undefined ? readSetting(setting, content.value) : content,
        label(file),
      );
    }
    if (given === undefined) continue;
    const isSetBelow = (one: Source): boolean =>
      Boolean(one.read(setting)) || (file !== undefined && one.readPath(file) !== undefined);
    if (given === "" && isKeyList(setting) && layers.slice(index + 1).some(isSetBelow)) {
      const problem = "is empty, but keys are set in a source of lower priority: remove one of the two";
      return labelled({ problem }, label(setting));
    }
    return labelled(readSetting(setting, given), label(setting));
  }
  return { value: setting.default };
}

function labelled(reading: SettingReading, label: string): SettingReading {
  return reading.problem === undefined ? reading : { problem: `${label} ${reading.problem}.` };
}
