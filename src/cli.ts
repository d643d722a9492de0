#!/usr/bin/env node
import { KEY_HELP, KEY_OPTIONS, TENANT_HELP, TENANT_OPTIONS } from "./commands/access-flags.ts";
import type { Command } from "./commands/command-line.ts";
import { explain } from "./commands/explain.ts";
import { startWithFlags } from "./commands/process-flags.ts";
import { printError, printJson } from "./commands/print.ts";
import { limitYoungGeneration } from "./commands/young-generation.ts";
import { loadSettings } from "./config/load.ts";
import { REDIS_SETTINGS } from "./config/redis-settings.ts";

/** The table of commands. A command's module is loaded when the command runs. */

const FINDS_REDIS: readonly string[] = [...Object.keys(REDIS_SETTINGS), "stateDir"];

const DEAD_HELP = `sgnet dead list            list dead letters, with time and reason
sgnet dead show ID         show one in full; ID is the listed id, or the x-request-id
sgnet dead retry ID        run its request again and print the answer; an answered letter is removed
sgnet dead retry --all     run all requests again, one after the other
sgnet dead drop ID         remove it for good`;

const JSON_OPTION = { json: { type: "boolean", describe: "Print one JSON document" } } as const;

const COMMANDS: readonly Command[] = [
  {
    name: "up",
    describe: "Run everything on this machine: Redis, a gateway, and a worker for the local LLM servers",
    examples: [
      ["sgnet up", "With the LLM servers of this machine, else with a small embedded model"],
      ["sgnet up --port 8080 --host 0.0.0.0", "Serve other machines, too"],
    ],
    run: async (settings) => (await import("./commands/up.ts")).runUp(settings),
  },
  {
    name: "gateway",
    describe: "Run a gateway, the HTTP server for clients",
    examples: [
      ["sgnet gateway --redis-url redis://r:6379", "With a Redis of your own"],
      ["sgnet gateway --processes auto", "One process per CPU core, all on one port"],
    ],
    run: async (settings) => {
      startWithFlags(settings);
      limitYoungGeneration();
      return (await import("./commands/gateway.ts")).runGateway(settings);
    },
  },
  {
    name: "worker",
    describe: "Run a worker: it takes requests from Redis and sends them to LLM servers",
    examples: [
      ["sgnet worker --redis-url redis://r:6379", "With the LLM servers of this machine"],
      ["sgnet worker --backends ollama+http://gpu1:11434", "With a given LLM server"],
    ],
    run: async (settings) => {
      startWithFlags(settings);
      limitYoungGeneration();
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
    describe:
      "Watch the fleet: models, nodes, running requests and errors, refreshed every second until you press q",
    options: { json: { type: "boolean", describe: "Print the current state as one JSON document" } },
    settings: [...FINDS_REDIS, "modelMemoryMs"],
    examples: [
      ["sgnet top", "On a terminal, until you press q"],
      ["sgnet top | cat", "Once, as plain text"],
    ],
    run: async (settings, flags) =>
      (await import("./commands/top.ts")).runTop(settings, flags["json"] === true),
  },
  {
    name: "trace [id]",
    describe: "Show the timeline of one request; the id is its x-request-id or its task id",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet trace order-4711", "By the x-request-id of the answer"]],
    run: async (settings, flags) =>
      (await import("./commands/trace.ts")).runTrace(settings, {
        id: textOf(flags["id"]),
        json: flags["json"] === true,
      }),
  },
  {
    name: "dead [action] [id]",
    describe: "Manage dead letters, requests that failed too often: list, show ID, retry ID, drop ID",
    options: {
      model: { type: "string", describe: "Only letters of this model" },
      all: { type: "boolean", describe: "retry, drop: all letters, or all of the model" },
      body: { type: "boolean", describe: "show: also the request body, which may hold a prompt" },
      ...JSON_OPTION,
    },
    settings: [...FINDS_REDIS, "logFormat"],
    examples: [
      ["sgnet dead list --model qwen3:8b", "Only letters of one model"],
      ["sgnet dead retry --all --json", "Run all requests again and print the results as JSON"],
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
    name: "usage",
    describe: "Show the tokens that keys, tenants and models used, and the budgets",
    options: {
      by: {
        type: "string",
        describe: "Columns to group by: tenant, key, model, day. Default: tenant,key,model.",
      },
      from: {
        type: "string",
        describe: "First day (UTC): 2026-11-30, today or yesterday. Default: the last day.",
      },
      to: { type: "string", describe: "Last day (UTC). Default: today." },
      tenant: { type: "string", describe: "Only this tenant" },
      key: { type: "string", describe: "Only this key, by its name or id" },
      csv: { type: "boolean", describe: "Print CSV" },
      ...JSON_OPTION,
    },
    settings: FINDS_REDIS,
    examples: [
      ["sgnet usage", "Today, by tenant, key and model"],
      ["sgnet usage --by day,tenant --from 2026-11-01 --csv", "A month so far, for a spreadsheet"],
    ],
    run: async (settings, flags) =>
      (await import("./commands/usage.ts")).runUsage(settings, {
        by: textOf(flags["by"]),
        from: textOf(flags["from"]),
        to: textOf(flags["to"]),
        tenant: textOf(flags["tenant"]),
        key: textOf(flags["key"]),
        csv: flags["csv"] === true,
        json: flags["json"] === true,
      }),
  },
  {
    name: "keys [action] [key]",
    describe: "Manage API keys and their limits: create NAME, list, show, set, rotate, revoke KEY",
    options: KEY_OPTIONS,
    settings: FINDS_REDIS,
    examples: [
      ["sgnet keys create alice --rpm 60 --models 'qwen3:*'", "A key for one client, with limits"],
      ["sgnet keys set alice --rpm none --expires 90d", "Remove one limit, and let the key end"],
    ],
    more: KEY_HELP,
    run: async (settings, flags) =>
      (await import("./commands/keys.ts")).runKeys(settings, {
        action: textOf(flags["action"]),
        key: textOf(flags["key"]),
        flags,
        json: flags["json"] === true,
      }),
  },
  {
    name: "tenants [action] [tenant]",
    describe: "Manage tenants, whose keys share limits: create NAME, list, show, set, remove NAME",
    options: TENANT_OPTIONS,
    settings: FINDS_REDIS,
    examples: [["sgnet tenants create lab --budget-day 5_000_000", "One budget for all keys of the lab"]],
    more: TENANT_HELP,
    run: async (settings, flags) =>
      (await import("./commands/tenants.ts")).runTenants(settings, {
        action: textOf(flags["action"]),
        tenant: textOf(flags["tenant"]),
        flags,
        json: flags["json"] === true,
      }),
  },
  {
    name: "audit",
    describe: "Show the actions of admins, the newest first: by whom, when and from where",
    options: {
      limit: { type: "string", describe: "Most entries, 1 to 1000. Default: 50." },
      ...JSON_OPTION,
    },
    settings: FINDS_REDIS,
    examples: [["sgnet audit --limit 1000 --json", "For programs"]],
    run: async (settings, flags) =>
      (await import("./commands/audit.ts")).runAudit(settings, {
        limit: textOf(flags["limit"]),
        json: flags["json"] === true,
      }),
  },
  {
    name: "bench [url]",
    describe:
      "Measure a running fleet, or any Ollama or OpenAI server, from a client's view; truncated answers count as failed",
    options: {
      model: { type: "string", describe: "Model to use. Default: the first listed chat model." },
      dialect: { type: "string", describe: "API to use, ollama or openai. Default: ollama." },
      clients: { type: "string", describe: "Parallel requests. Default: 4." },
      requests: { type: "string", describe: "Total number of requests. Default: 40." },
      prompt: { type: "string", describe: "Prompt to send. Default: ask for a story." },
      tokens: { type: "string", describe: "Longest answer, in tokens. Default: 128." },
      whole: { type: "boolean", describe: "Request whole answers instead of streams" },
      json: { type: "boolean", describe: "Print one JSON document, with durations in µs" },
    },
    settings: ["port", "host", "apiKeys"],
    examples: [
      ["sgnet bench", "The gateway of this machine"],
      ["sgnet bench http://gpu1:11434 --clients 16", "Another server, with 16 parallel requests"],
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
    describe: "Let a worker finish its running requests and take no more, until it is undrained or restarted",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet drain gpu1", "All workers of a host; sgnet status shows hosts and ids"]],
    run: async (settings, flags) =>
      (await import("./commands/drain.ts")).runDrain(settings, "drain", drainOrder(flags)),
  },
  {
    name: "undrain [worker]",
    describe: "Let a drained worker take requests again",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet undrain gpu1", "All workers of a host"]],
    run: async (settings, flags) =>
      (await import("./commands/drain.ts")).runDrain(settings, "undrain", drainOrder(flags)),
  },
  {
    name: "load-functions",
    describe: "Load the Redis functions that restricted Redis users call; needs a Redis admin",
    options: JSON_OPTION,
    settings: FINDS_REDIS,
    examples: [["sgnet load-functions", "With the admin user of REDIS_URL"]],
    run: async (settings, flags) =>
      (await import("./commands/load-functions.ts")).runLoadFunctions(settings, flags["json"] === true),
  },
  {
    name: "doctor",
    describe: "Check this machine and list problems to fix",
    options: JSON_OPTION,
    examples: [
      ["sgnet doctor", "One line per check"],
      ["sgnet doctor --json | jq '.findings[] | select(.ok | not)'", "Only the problems, as JSON"],
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
 * Runs the command line. A bare command without flags skips the parser of the command line, which services do not need:
 * 8 MB of memory and 0.1 s.
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
