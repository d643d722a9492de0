#!/usr/bin/env node
import type { Command } from "./commands/command-line.ts";
import { explain } from "./commands/explain.ts";
import { startLean } from "./commands/lean-start.ts";
import { printError, printJson } from "./commands/print.ts";
import { holdYoungGeneration } from "./commands/young-generation.ts";
import { loadSettings } from "./config/load.ts";
import { REDIS_SETTINGS } from "./config/redis-settings.ts";

/** The tree of commands. A command's module is loaded when it is run, not before. */

const FINDS_REDIS: readonly string[] = [...Object.keys(REDIS_SETTINGS), "stateDir"];

const DEAD_HELP = `sgnet dead list            what was given up, when and why
sgnet dead show ID         all that is known of one; ID as listed, or the x-request-id
sgnet dead retry ID        run it again and print its answer; it is removed when it is answered
sgnet dead retry --all     run all of them again, one after the other
sgnet dead drop ID         remove it for good`;

const JSON_OPTION = { json: { type: "boolean", describe: "Print one JSON document" } } as const;

const COMMANDS: readonly Command[] = [
  {
    name: "up",
    describe: "Run everything on this machine: Redis, a gateway, and a worker for the LLM servers found here",
    examples: [
      ["sgnet up", "With the LLM servers found here, else a small model of its own"],
      ["sgnet up --port 8080 --host 0.0.0.0", "For other machines, too"],
    ],
    run: async (settings) => (await import("./commands/up.ts")).runUp(settings),
  },
  {
    name: "gateway",
    describe: "Run a gateway: the HTTP front end",
    examples: [
      ["sgnet gateway --redis-url redis://r:6379", "Beside a Redis of yours"],
      ["sgnet gateway --processes auto", "As many processes as processors, on one port"],
    ],
    run: async (settings) => {
      startLean(settings);
      holdYoungGeneration();
      return (await import("./commands/gateway.ts")).runGateway(settings);
    },
  },
  {
    name: "worker",
    describe: "Run a worker: it takes tasks from Redis to the LLM servers it can reach",
    examples: [
      ["sgnet worker --redis-url redis://r:6379", "With the LLM servers of this machine"],
      ["sgnet worker --backends ollama+http://gpu1:11434", "With one that is named"],
    ],
    run: async (settings) => {
      startLean(settings);
      holdYoungGeneration();
      return (await import("./commands/worker.ts")).runWorker(settings);
    },
  },
  {
    name: "status",
    describe: "Show gateways, workers, backends, models and queues",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [
      ["sgnet status", "As tables"],
      ["sgnet status --json | jq .models", "The queues, for programs"],
    ],
    run: async (settings, flags) =>
      (await import("./commands/status.ts")).runStatus(settings, flags["json"] === true),
  },
  {
    name: "top",
    describe: "Watch the fleet: models, nodes, running requests and errors, once a second until q is pressed",
    options: { json: { type: "boolean", describe: "Print what is to be seen now as one JSON document" } },
    settings: [...FINDS_REDIS, "modelMemoryMs"],
    examples: [
      ["sgnet top", "On a terminal, until q is pressed"],
      ["sgnet top | cat", "Once, as plain text"],
    ],
    run: async (settings, flags) =>
      (await import("./commands/top.ts")).runTop(settings, flags["json"] === true),
  },
  {
    name: "trace [id]",
    describe: "Tell the story of one request with its times; the id is an x-request-id or a task's id",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet trace order-4711", "By the x-request-id of its answer"]],
    run: async (settings, flags) =>
      (await import("./commands/trace.ts")).runTrace(settings, {
        id: textOf(flags["id"]),
        json: flags["json"] === true,
      }),
  },
  {
    name: "dead [action] [id]",
    describe: "Dead letters, the requests that were given up: list, show ID, retry ID, drop ID",
    options: {
      model: { type: "string", describe: "Only letters of this model" },
      all: { type: "boolean", describe: "retry, drop: all of them, or all of the model" },
      body: { type: "boolean", describe: "show: with the request's body, which may hold a prompt" },
      ...JSON_OPTION,
    },
    settings: [...FINDS_REDIS, "logFormat"],
    examples: [
      ["sgnet dead list --model qwen3:8b", "Those of one model"],
      ["sgnet dead retry --all --json", "Run all of them again, and tell programs how it went"],
    ],
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
    describe:
      "Measure a running fleet, or any Ollama or OpenAI server, as its clients see it; answers that break off count as failed",
    options: {
      model: { type: "string", describe: "The model to ask. Default: the first one listed that can chat." },
      dialect: { type: "string", describe: "The API to ask by, ollama or openai. Default: ollama." },
      clients: { type: "string", describe: "Requests open at once. Default: 4." },
      requests: { type: "string", describe: "Requests in all. Default: 40." },
      prompt: { type: "string", describe: "What to ask. Default: a story." },
      tokens: { type: "string", describe: "Longest answer, in tokens. Default: 128." },
      whole: { type: "boolean", describe: "Ask for whole answers, not for streams" },
      json: { type: "boolean", describe: "Print one JSON document; durations in µs" },
    },
    settings: ["port", "host", "apiKeys"],
    examples: [
      ["sgnet bench", "The gateway of this machine"],
      ["sgnet bench http://gpu1:11434 --clients 16", "Any other server, with 16 requests at a time"],
    ],
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
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet drain gpu1", "All workers of a host; sgnet status shows hosts and ids"]],
    run: async (settings, flags) =>
      (await import("./commands/drain.ts")).runDrain(settings, "drain", drainOrder(flags)),
  },
  {
    name: "undrain [worker]",
    describe: "Let a drained worker take tasks again",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet undrain gpu1", "All workers of a host"]],
    run: async (settings, flags) =>
      (await import("./commands/drain.ts")).runDrain(settings, "undrain", drainOrder(flags)),
  },
  {
    name: "load-functions",
    describe: "Load into Redis, as an admin, the functions that users with least rights call",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet load-functions", "As the admin that REDIS_URL names"]],
    run: async (settings, flags) =>
      (await import("./commands/load-functions.ts")).runLoadFunctions(settings, flags["json"] === true),
  },
  {
    name: "doctor",
    describe: "Check this machine and tell what to fix",
    options: JSON_OPTION,
    examples: [
      ["sgnet doctor", "One line for each thing that was looked at"],
      ["sgnet doctor --json | jq '.findings[] | select(.ok | not)'", "What to fix, for programs"],
    ],
    run: async (settings, flags) =>
      (await import("./commands/doctor.ts")).runDoctor(settings, flags["json"] === true),
  },
];

function textOf(flag: unknown): string | undefined {
  return typeof flag === "string" ? flag : undefined;
}

function drainOrder(flags: Readonly<Record<string, unknown>>): { name: string | undefined; json: boolean } {
  return { name: textOf(flags["worker"]), json: flags["json"] === true };
}

/**
 * A command alone, without flags, needs no command line to be read: what services run spare themselves the reader, 8 MB
 * of memory and a tenth of a second.
 */
async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const bare = args.length === 1 ? COMMANDS.find(({ name }) => name === args[0]) : undefined;
  if (bare !== undefined) return bare.run(loadSettings({ flags: {} }), {});
  return (await import("./commands/command-line.ts")).runCommandLine(COMMANDS, args);
}

try {
  process.exitCode = await main();
} catch (error) {
  printError(`${explain(error)}\n`);
  if (process.argv.includes("--json")) printJson((await import("./commands/json-error.ts")).jsonError(error));
  process.exitCode = 1;
}
