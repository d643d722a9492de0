import yargs from "yargs";
import type { Argv, Options } from "yargs";
import { loadSettings } from "../config/load.ts";
import { describeSetting } from "../config/render.ts";
import { SETTINGS } from "../config/settings.ts";
import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";

/** A command of the program. */
export interface Command {
  readonly name: string;
  readonly describe: string;
  readonly options?: Readonly<
    Record<string, { readonly type: "boolean" | "string"; readonly describe: string }>
  >;
  /** The settings that matter to it. The others are taken, for the sake of one `.env`, and told by --show-hidden. */
  readonly settings?: readonly string[];
  /** Lines at the end of its help. */
  readonly more?: string;
  /** Resolves with the exit code. */
  readonly run: (settings: Settings, flags: Readonly<Record<string, unknown>>) => Promise<number>;
}

function settingFlags(argv: Argv, told: readonly string[] | undefined): Argv {
  if (told !== undefined) argv.showHidden("show-hidden", "Show the settings of all commands");
  for (const [name, setting] of Object.entries(SETTINGS)) {
    argv.option(setting.flag, {
      type: setting.type === "flag" ? "boolean" : "string",
      requiresArg: setting.type !== "flag",
      describe: `${describeSetting(setting)} [${setting.env}]`,
      group: "Settings:",
      hidden: told !== undefined && !told.includes(name),
    });
  }
  return argv;
}

/** Its own options; with their group named they are told before the settings. */
function optionFlags({ options = {} }: Command): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, { ...option, group: "Options:" }]),
  );
}

function addCommand(argv: Argv, command: Command, finish: (code: number) => void): void {
  argv.command(
    command.name,
    command.describe,
    (its) => settingFlags(its.options(optionFlags(command)), command.settings).epilogue(command.more ?? ""),
    async (flags) => finish(await command.run(loadSettings({ flags }), flags)),
  );
}

/**
 * Reads the command line and runs the command it names, with its settings; or prints help, the version or a completion
 * script. Resolves with the exit code; rejects with an Error that says what is wrong with the line.
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
    .demandCommand(1, "A command is missing")
    .strictCommands()
    .strict()
    .version(productVersion())
    .completion("completion", "Print a completion script for your shell")
    .fail((message, error) => {
      throw error ?? new Error(`${message}. Try sgnet --help.`);
    });
  for (const command of commands) addCommand(argv, command, (its) => (code = its));
  await argv.parseAsync();
  return code;
}
