import { Fleet, MODEL } from "../journey/fleet.ts";
import { AGENT_CLIENTS, type AgentClient } from "./clients.ts";
import { install } from "./install.ts";
import { type Outcome, runClient } from "./run-client.ts";
import { type ModelScript, scriptedAnswers } from "./scripted-model.ts";
import { writeFixture } from "./fixture.ts";

/**
 * `make agents`: installs the agents of the table, and runs each through a whole loop (tool calls, their results, an
 * answer) against a gateway, a worker and a scripted model, on a backend of each dialect. Prints a table; fails when a
 * client that runs here does not reach its answer. With `--record` the requests become the fixtures of the tests.
 */

const KINDS = ["openai", "ollama"] as const;

interface Row {
  readonly client: string;
  readonly package: string;
  readonly backend: string;
  readonly requests: number;
  readonly dropped: string;
  readonly outcome: string;
}

const record = process.argv.includes("--record");
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const clients = AGENT_CLIENTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const rows: Row[] = [];
let failed = false;

for (const kind of KINDS) {
  let script: ModelScript = { steps: [], answer: "" };
  const fleet = await Fleet.start({ posts: [{ speaks: kind }], limitMs: 3_600_000 });
  fleet.post().standIn.behaviour.answers = scriptedAnswers(() => script);
  try {
    for (const client of clients) {
      rows.push(
        await runOne(client, kind, {
          gateway: fleet.gateway.url,
          use: (next) => {
            script = next;
          },
        }),
      );
      process.stderr.write(`${client.name} on ${kind}: ${rows.at(-1)?.outcome}\n`);
    }
  } finally {
    await fleet.stop();
  }
}

async function runOne(
  client: AgentClient,
  kind: string,
  { gateway, use }: { readonly gateway: string; readonly use: (script: ModelScript) => void },
): Promise<Row> {
  const row = { client: client.name, package: client.package, backend: kind };
  const folder = await install(client.package);
  if (typeof folder !== "string") {
    return { ...row, requests: 0, dropped: "", outcome: `skipped: ${folder.missing}` };
  }
  const outcome = await runClient(client, { gateway, model: MODEL, package: folder }, use);
  const { exchanges } = outcome;
  const refused = exchanges.filter(
    ({ status, path }) => status !== 200 && path !== "/v1/messages/count_tokens",
  );
  const failure =
    outcome.failure ?? (refused.length > 0 ? `${refused.length} requests were refused` : undefined);
  failed ||= failure !== undefined;
  if (record && failure === undefined && kind === KINDS[0]) await keep(client, outcome);
  const dropped = [...new Set(exchanges.flatMap((one) => one.dropped))].join(", ");
  return { ...row, requests: exchanges.length, dropped, outcome: failure ?? "passed" };
}

async function keep(client: AgentClient, { exchanges, place }: Outcome): Promise<void> {
  await writeFixture(client, exchanges, place);
}

const COLUMNS = ["client", "package", "backend", "requests", "dropped", "outcome"] as const;
const table = [COLUMNS.map(String), ...rows.map((row) => COLUMNS.map((name) => String(row[name])))];
const widths = COLUMNS.map((_name, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
for (const cells of table) {
  process.stdout.write(
    `${cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd()}\n`,
  );
}
process.exitCode = failed ? 1 : 0;
