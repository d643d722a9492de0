import yargs from "yargs";
import type { Argv, Options } from "yargs";
import { loadSettings } from "../config/load.ts";
import { describeSetting } from "../config/render.ts";
import { SETTINGS } from "../config/settings.ts";
import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";
import { refuseStrange, unknownCommand } from "./strange-words.ts";

/** A command of the program. */
export interface Command {
  readonly name: string;
  readonly describe: string;
  readonly options?: Readonly<
    Record<string, { readonly type: "boolean" | "string"; readonly describe: string }>
  >;
  /** The settings that matter to it. The others are taken, for the sake of one `.env`, and told by --show-hidden. */
  readonly settings?: readonly string[];
  /** Command lines, and what each does. */
  readonly examples: readonly (readonly [line: string, does: string])[];
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

/** Flags that yargs adds by itself. */
const OF_YARGS: readonly string[] = ["_", "$0", "help", "h", "version", "v", "show-hidden"];

/** The name of a command without its words. */
export function wordOf({ name }: Pick<Command, "name">): string {
  return name.split(" ")[0] ?? "";
}

function addCommand(argv: Argv, command: Command, finish: (code: number) => void): void {
  const own = Object.keys(command.options ?? {});
  const words = Array.from(command.name.matchAll(/\[(\w+)\]/g), ([, word = ""]) => word);
  const settings = Object.values(SETTINGS).map(({ flag }) => flag);
  const known = { taken: [...OF_YARGS, ...own, ...words, ...settings], once: own };
  argv.command(
    command.name,
    command.describe,
    (its) =>
      settingFlags(its.options(optionFlags(command)), command.settings)
        .example(command.examples.map(([line, does]) => [line, does]))
        .epilogue(command.more ?? ""),
    async (flags) => {
      refuseStrange(wordOf(command), { flags, extra: flags._.slice(1).map(String) }, known);
      finish(await command.run(loadSettings({ flags }), flags));
    },
  );
}

/** The command line without a command that is one. */
function addNone(argv: Argv, commands: readonly Command[]): void {
  argv.command("$0", false, {}, ({ _: [word] }) => {
    if (word === undefined) throw new Error("A command is missing. Try sgnet --help.");
    throw unknownCommand(String(word), [...commands.map(wordOf), "completion"]);
  });
}

const EXAMPLES: [string, string][] = [
  ["sgnet up", "Run everything on this machine"],
  ["sgnet status --json", "The state of the fleet, for programs"],
  ["sgnet gateway --help", "What a command takes"],
];

const MORE = `Exit codes: 0 it worked; 1 it did not, and standard error has a sentence that says why; 130 Ctrl-C ended it early.
With --json standard output is one JSON document, also of a failure: {"error":{"code":…,"message":…}}.`;

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
    .version(productVersion())
    .alias({ help: "h", version: "v" })
    .example(EXAMPLES)
    .epilogue(MORE)
    .completion("completion", "Print a completion script for your shell")
    .fail((message, error) => {
      throw error ?? new Error(`${message}. Try sgnet --help.`);
    });
  addNone(argv, commands);
  for (const command of commands) addCommand(argv, command, (its) => (code = its));
  await argv.parseAsync();
  return code;
}
