import { Fleet } from "../rig/fleet/fleet.ts";
import { addBackend, type Kind, KINDS, modelOf } from "./backends.ts";
import type { AgentClient } from "./client.ts";
import { choose } from "./choice.ts";
import { AGENT_CLIENTS } from "./clients.ts";
import { install } from "./install.ts";
import { type Outcome, runClient } from "./run-client.ts";
import { assertPrefixes, promptOf } from "./prefixes.ts";
import type { ModelScript } from "../rig/backends/scripted-model.ts";
import { writeFixture } from "./fixture.ts";

/**
 * `make agents` installs the agents of the table. It runs each through a whole loop of tool calls, results and an
 * answer. The loop goes through a gateway and a worker to a scripted model on a backend of each kind. Prints a table.
 * Fails when a client that runs here does not reach its answer. Fails, too, when a prompt does not begin as earlier ones.
 * Names of clients and kinds choose among them: `ARGS="codex vllm"`. With `--record` the requests become the fixtures
 * of the tests.
 */

interface Row {
  readonly client: string;
  readonly package: string;
  readonly backend: string;
  readonly requests: number;
  readonly dropped: string;
  readonly outcome: string;
}

const record = process.argv.includes("--record");
const words = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const names = AGENT_CLIENTS.map(({ name }) => name);
const choice = choose({ words, clients: names, kinds: KINDS });
const clients = AGENT_CLIENTS.filter(({ name }) => choice.clients.includes(name));
const rows: Row[] = [];
let failed = false;

const fleet = await Fleet.start({ posts: [], limitMs: 3_600_000 });
try {
  for (const kind of KINDS.filter((one) => choice.kinds.includes(one))) await runAll(kind);
} finally {
  await fleet.stop();
}

async function runAll(kind: Kind): Promise<void> {
  let script: ModelScript = { steps: [], answer: "" };
  const standIn = await addBackend(fleet, kind, () => script);
  await fleet.known(modelOf(kind));
  try {
    for (const client of clients) {
      const place = {
        prompts: () => standIn.requests.map(({ body }) => body),
        use: (next: ModelScript) => {
          script = next;
        },
      };
      rows.push(await runOne(client, kind, place));
      process.stderr.write(`${client.name} on ${kind}: ${rows.at(-1)?.outcome}\n`);
    }
  } finally {
    await standIn.stop();
  }
}

async function runOne(
  client: AgentClient,
  kind: Kind,
  {
    prompts,
    use,
  }: {
    readonly prompts: () => readonly Readonly<Record<string, unknown>>[];
    readonly use: (script: ModelScript) => void;
  },
): Promise<Row> {
  const row = { client: client.name, package: client.package, backend: kind };
  const folder = await install(client.package);
  if (typeof folder !== "string") {
    return { ...row, requests: 0, dropped: "", outcome: `skipped: ${folder.missing}` };
  }
  const before = prompts().length;
  const where = { gateway: fleet.gateway.url, model: modelOf(kind), package: folder };
  const outcome = await runClient(client, where, use);
  const { exchanges } = outcome;
  const refused = exchanges.filter(
    ({ status, path }) => status !== 200 && path !== "/v1/messages/count_tokens",
  );
  const failure =
    outcome.failure ??
    (refused.length > 0 ? `${refused.length} requests were refused` : brokenPrefix(prompts().slice(before)));
  failed ||= failure !== undefined;
  if (record && failure === undefined && kind === KINDS[0]) await keep(client, outcome);
  const dropped = [...new Set(exchanges.flatMap((one) => one.dropped))].join(", ");
  return { ...row, requests: exchanges.length, dropped, outcome: failure ?? "passed" };
}

/** In a sentence, when a prompt does not begin as those of its conversation before it. */
function brokenPrefix(bodies: readonly Readonly<Record<string, unknown>>[]): string | undefined {
  const chats = bodies.filter(({ messages }) => Array.isArray(messages));
  try {
    return assertPrefixes(chats.map(promptOf), "prompts") > 0 ? undefined : "no second turn came";
  } catch (error) {
    return String(error);
  }
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
