#!/usr/bin/env node
import yargs from "yargs";
import type { Argv, Options } from "yargs";
import { hideBin } from "yargs/helpers";
import { explain } from "./commands/explain.ts";
import { loadSettings } from "./config/load.ts";
import { describeSetting } from "./config/render.ts";
import { REDIS_SETTINGS } from "./config/redis-settings.ts";
import { SETTINGS } from "./config/settings.ts";
import type { Settings } from "./config/settings.ts";
import { productVersion } from "./config/version.ts";

/** The tree of commands. A command's module is loaded when it is run, not before. */

interface Command {
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

const FINDS_REDIS: readonly string[] = [...Object.keys(REDIS_SETTINGS), "stateDir"];

const DEAD_HELP = `sgnet dead list            what was given up, when and why
sgnet dead show ID         all that is known of one; ID as listed, or the x-request-id
sgnet dead retry ID        run it again and print its answer; it is removed when it is answered
sgnet dead retry --all     run all of them again, one after the other
sgnet dead drop ID         remove it for good`;

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
    settings: FINDS_REDIS,
    run: async (settings, flags) =>
      (await import("./commands/status.ts")).runStatus(settings, flags["json"] === true),
  },
  {
    name: "top",
    describe: "Watch the fleet: models, nodes, running requests and errors, once a second until q is pressed",
    settings: [...FINDS_REDIS, "modelMemoryMs"],
    run: async (settings) => (await import("./commands/top.ts")).runTop(settings),
  },
  {
    name: "trace [id]",
    describe: "Tell the story of one request with its times; the id is an x-request-id or a task's id",
    settings: FINDS_REDIS,
    run: async (settings, flags) =>
      (await import("./commands/trace.ts")).runTrace(settings, textOf(flags["id"])),
  },
  {
    name: "dead [action] [id]",
    describe: "Dead letters, the requests that were given up: list, show ID, retry ID, drop ID",
    options: {
      model: { type: "string", describe: "Only letters of this model" },
      all: { type: "boolean", describe: "retry, drop: all of them, or all of the model" },
      body: { type: "boolean", describe: "show: with the request's body, which may hold a prompt" },
      json: { type: "boolean", describe: "list, show: print one JSON document" },
    },
    settings: [...FINDS_REDIS, "logFormat"],
    more: DEAD_HELP,
    run: async (settings, flags) =>
      (await import("./commands/dead.ts")).runDead(settings, {
        action: textOf(flags["action"]),
        id: textOf(flags["id"]),
        model: textOf(flags["model"]),
        all: flags["all"] === true,
        body: flags["body"] === true,
        json: flags["json"] === true,
      }),
  },
  {
    name: "bench [url]",
    describe: "Measure a running fleet, or any Ollama or OpenAI server, as its clients see it",
    options: {
      model: { type: "string", describe: "The model to ask. Default: the first one listed." },
      dialect: { type: "string", describe: "The API to ask by, ollama or openai. Default: ollama." },
      clients: { type: "string", describe: "Requests open at once. Default: 4." },
      requests: { type: "string", describe: "Requests in all. Default: 40." },
      prompt: { type: "string", describe: "What to ask. Default: a story." },
      tokens: { type: "string", describe: "Longest answer, in tokens. Default: 128." },
      whole: { type: "boolean", describe: "Ask for whole answers, not for streams" },
      json: { type: "boolean", describe: "Print one JSON document; durations in µs" },
    },
    settings: ["port", "host", "apiKeys"],
    run: async (settings, flags) =>
      (await import("./commands/bench.ts")).runBench(settings, {
        url: textOf(flags["url"]),
        model: textOf(flags["model"]),
        dialect: textOf(flags["dialect"]),
        clients: textOf(flags["clients"]),
        requests: textOf(flags["requests"]),
        prompt: textOf(flags["prompt"]),
        tokens: textOf(flags["tokens"]),
        whole: flags["whole"] === true,
        json: flags["json"] === true,
      }),
  },
  {
    name: "drain [worker]",
    describe: "Let a worker finish what it runs and take nothing more, until it is undrained or restarted",
    settings: FINDS_REDIS,
    run: async (settings, flags) =>
      (await import("./commands/drain.ts")).runDrain(settings, "drain", textOf(flags["worker"])),
  },
  {
    name: "undrain [worker]",
    describe: "Let a drained worker take tasks again",
    settings: FINDS_REDIS,
    run: async (settings, flags) =>
      (await import("./commands/drain.ts")).runDrain(settings, "undrain", textOf(flags["worker"])),
  },
  {
    name: "doctor",
    describe: "Check this machine and tell what to fix",
    run: async (settings) => (await import("./commands/doctor.ts")).runDoctor(settings),
  },
];

function textOf(flag: unknown): string | undefined {
  return typeof flag === "string" ? flag : undefined;
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
    .demandCommand(1, "A command is missing")
    .strictCommands()
    .strict()
    .version(productVersion())
    .completion("completion", "Print a completion script for your shell")
    .fail((message, error) => {
      throw error ?? new Error(`${message}. Try sgnet --help.`);
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
