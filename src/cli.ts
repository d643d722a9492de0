#!/usr/bin/env node
import yargs from "yargs";
import type { Argv } from "yargs";
import { hideBin } from "yargs/helpers";
import { explain } from "./commands/explain.ts";
import { loadSettings } from "./config/load.ts";
import { describeSetting } from "./config/render.ts";
import { SETTINGS } from "./config/settings.ts";
import type { Settings } from "./config/settings.ts";
import { productVersion } from "./config/version.ts";

/** The tree of commands. A command's module is loaded when it is run, not before. */

interface Command {
  readonly name: string;
  readonly describe: string;
  readonly options?: Readonly<Record<string, { readonly type: "boolean"; readonly describe: string }>>;
  /** Resolves with the exit code. */
  readonly run: (settings: Settings, flags: Readonly<Record<string, unknown>>) => Promise<number>;
}

const COMMANDS: readonly Command[] = [
  {
    name: "up",
    describe: "Run everything on this machine: Redis, a gateway, and a worker for the LLM servers found here",
    run: async (settings) => (await import("./commands/up.ts")).runUp(settings),
  },
  {
    name: "gateway",
    describe: "Run a gateway: the HTTP front end",
    run: async (settings) => (await import("./commands/gateway.ts")).runGateway(settings),
  },
  {
    name: "worker",
    describe: "Run a worker: it takes tasks from Redis to the LLM servers it can reach",
    run: async (settings) => (await import("./commands/worker.ts")).runWorker(settings),
  },
  {
    name: "status",
    describe: "Show gateways, workers, backends, models and queues",
    options: { json: { type: "boolean", describe: "Print one JSON document" } },
    run: async (settings, flags) =>
      (await import("./commands/status.ts")).runStatus(settings, flags["json"] === true),
  },
  {
    name: "top",
    describe: "Watch the fleet: models, nodes, running requests and errors, once a second until q is pressed",
    run: async (settings) => (await import("./commands/top.ts")).runTop(settings),
  },
  {
    name: "trace <id>",
    describe: "Tell the story of one request with its times; <id> is an x-request-id or a task's id",
    run: async (settings, flags) =>
      (await import("./commands/trace.ts")).runTrace(settings, String(flags["id"])),
  },
  {
    name: "doctor",
    describe: "Check this machine and tell what to fix",
    run: async (settings) => (await import("./commands/doctor.ts")).runDoctor(settings),
  },
];

function settingFlags(argv: Argv): Argv {
  for (const setting of Object.values(SETTINGS)) {
    argv.option(setting.flag, {
      type: setting.type === "flag" ? "boolean" : "string",
      requiresArg: setting.type !== "flag",
      describe: `${describeSetting(setting)} [${setting.env}]`,
      group: "Settings:",
    });
  }
  return argv;
}

function addCommand(argv: Argv, command: Command, finish: (code: number) => void): void {
  argv.command(
    command.name,
    command.describe,
    (its) => settingFlags(its).options(command.options ?? {}),
    async (flags) => finish(await command.run(loadSettings({ flags }), flags)),
  );
}

async function main(): Promise<number> {
  let code = 0;
  const argv = yargs(hideBin(process.argv))
    .scriptName("sgnet")
    .usage("$0 <command> [settings]")
    .locale("en")
    .parserConfiguration({
      "camel-case-expansion": false,
      "dot-notation": false,
      "boolean-negation": false,
      "parse-numbers": false,
    })
    .demandCommand(1, "A command is missing: try sgnet --help.")
    .strict()
    .version(productVersion())
    .completion("completion", "Print a completion script for your shell")
    .fail((message, error) => {
      throw error ?? new Error(message);
    });
  for (const command of COMMANDS) addCommand(argv, command, (its) => (code = its));
  await argv.parseAsync();
  return code;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}
