import yargs from "yargs";
import type { Argv, Options } from "yargs";
import { loadSettings } from "../config/load.ts";
import { describeFile, describeSetting } from "../config/render.ts";
import { secretFileOf, secretFiles } from "../config/secret-files.ts";
import { SETTINGS } from "../config/settings.ts";
import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";
import { refuseUnknownOptions, unknownCommand } from "./unknown-options.ts";

/** A command of the program. */
export interface Command {
  readonly name: string;
  readonly describe: string;
  readonly options?: Readonly<
    Record<string, { readonly type: "boolean" | "string"; readonly describe: string }>
  >;
  /**
   * The settings that the command uses. It also accepts the others, so that one `.env` fits all commands; --show-hidden
   * lists them.
   */
  readonly settings?: readonly string[];
  /** Example command lines, each with its effect. */
  readonly examples: readonly (readonly [line: string, does: string])[];
  /** Lines at the end of the help page. */
  readonly more?: string;
  /** Resolves with the exit code. */
  readonly run: (settings: Settings, flags: Readonly<Record<string, unknown>>) => Promise<number>;
}

/** @param own names of the command's options, which go before settings of the same name */
function settingFlags(argv: Argv, shown: readonly string[] | undefined, own: readonly string[]): Argv {
  if (shown !== undefined) argv.showHidden("show-hidden", "Show the settings of all commands");
  for (const [name, setting] of Object.entries(SETTINGS)) {
    if (own.includes(setting.flag)) continue;
    argv.option(setting.flag, {
      type: setting.type === "flag" ? "boolean" : "string",
      requiresArg: setting.type !== "flag",
      describe: `${describeSetting(setting)} [${setting.env}]`,
      group: "Settings:",
      hidden: shown !== undefined && !shown.includes(name),
    });
    const file = secretFileOf(setting);
    if (file === undefined) continue;
    argv.option(file.flag, {
      type: "string",
      requiresArg: true,
      describe: `${describeFile(setting)} [${file.env}]`,
      group: "Settings:",
      hidden: shown !== undefined && !shown.includes(name),
    });
  }
  return argv;
}

/** The command's own options. Their named group puts them before the settings. */
function optionFlags({ options = {} }: Command): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, { ...option, group: "Options:" }]),
  );
}

/** Flags that yargs adds. */
const OF_YARGS: readonly string[] = ["_", "$0", "help", "h", "version", "v", "show-hidden"];

/** The name of a command without its arguments. */
export function wordOf({ name }: Pick<Command, "name">): string {
  return name.split(" ")[0] ?? "";
}

function addCommand(argv: Argv, command: Command, finish: (code: number) => void): void {
  const own = Object.keys(command.options ?? {});
  const words = Array.from(command.name.matchAll(/\[(\w+)\]/g), ([, word = ""]) => word);
  const settings = [...Object.values(SETTINGS), ...secretFiles()].map(({ flag }) => flag);
  const known = { accepted: [...OF_YARGS, ...own, ...words, ...settings], once: own };
  argv.command(
    command.name,
    command.describe,
    (builder) =>
      settingFlags(builder.options(optionFlags(command)), command.settings, own)
        .example(command.examples.map(([line, does]) => [line, does]))
        .epilogue(command.more ?? ""),
    async (flags) => {
      refuseUnknownOptions(wordOf(command), { flags, extra: flags._.slice(1).map(String) }, known);
      const others = Object.entries(flags).filter(([name]) => !own.includes(name));
      finish(await command.run(loadSettings({ flags: Object.fromEntries(others) }), flags));
    },
  );
}

/** Handles a command line without a known command. */
function addNone(argv: Argv, commands: readonly Command[]): void {
  argv.command("$0", false, {}, ({ _: [word] }) => {
    if (word === undefined) throw new Error("A command is missing. Try sgnet --help.");
    throw unknownCommand(String(word), [...commands.map(wordOf), "completion"]);
  });
}

const EXAMPLES: [string, string][] = [
  ["sgnet up", "Run everything on this machine"],
  ["sgnet status --json", "State of the fleet, for programs"],
  ["sgnet gateway --help", "Options and settings of a command"],
];

const MORE = `Exit codes: 0 success; 1 failure, with the reason on standard error; 130 stopped early with Ctrl-C.
With --json, standard output is one JSON document, also for a failure: {"error":{"code":…,"message":…}}.`;

/**
 * Parses the command line and runs its command with the settings, or prints help, the version or a completion script.
 * Resolves with the exit code. Rejects with an Error that names the mistake in the command line.
 */
export async function runCommandLine(commands: readonly Command[], args: readonly string[]): Promise<number> {
  let code = 0;
  const argv = yargs([...args])
    .scriptName("sgnet")
    .usage("$0 <command> [settings]")
    .locale("en")
    .parserConfiguration({
      "camel-case-expansion": false,
      "dot-notation": false,
      "boolean-negation": false,
      "parse-numbers": false,
    })
    .version(productVersion())
    .alias({ help: "h", version: "v" })
    .example(EXAMPLES)
    .epilogue(MORE)
    .completion("completion", "Print a completion script for your shell")
    .fail((message, error) => {
      throw error ?? new Error(`${message}. Try sgnet --help.`);
    });
  addNone(argv, commands);
  for (const command of commands) addCommand(argv, command, (exitCode) => (code = exitCode));
  await argv.parseAsync();
  return code;
}
