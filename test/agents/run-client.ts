import { spawn } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ANSWER, type AgentClient, NOTE, type Place, type Run } from "./client.ts";
import { endLeftovers } from "./leftovers.ts";
import { type Exchange, Recorder } from "./recorder.ts";
import type { ModelScript } from "../rig/backends/scripted-model.ts";

/** The longest life of one client, ms. */
const LIMIT_MS = 180_000;

export interface Outcome {
  /** In a sentence, when it did not reach its answer. */
  readonly failure: string | undefined;
  readonly exchanges: readonly Exchange[];
  readonly place: Place;
}

/** One pixel, and a page without anything on it. */
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const PDF = [
  "%PDF-1.4",
  "1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj",
  "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj",
  "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj",
  "trailer<</Root 1 0 R>>",
  "%%EOF",
].join("\n");

/** Runs a client against a gateway, in a home of its own; `use` sets what the model behind it does. */
export async function runClient(
  client: AgentClient,
  where: { readonly gateway: string; readonly model: string; readonly package: string },
  use: (script: ModelScript) => void,
): Promise<Outcome> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "sgnet-agents-")));
  const recorder = await Recorder.start(where.gateway);
  const [home, project] = [join(root, "home"), join(root, "project")];
  const place: Place = { home, project, url: recorder.url, package: where.package, model: where.model };
  try {
    await layOut(place, client.run(place));
    use(client.script(place));
    const failure = await runAll(client.run(place), place);
    return { failure, exchanges: recorder.exchanges, place };
  } finally {
    await recorder.stop();
    endLeftovers(home);
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function layOut({ home, project }: Place, { files = {} }: Run): Promise<void> {
  await mkdir(home, { recursive: true });
  await mkdir(project, { recursive: true });
  await writeFile(join(project, "note.txt"), `${NOTE}\n`);
  await writeFile(join(project, "dot.png"), Buffer.from(PNG, "base64"));
  await writeFile(join(project, "paper.pdf"), PDF);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text);
  }
}

async function runAll(run: Run, place: Place): Promise<string | undefined> {
  let last = "";
  for (const args of [run.args, ...(run.further ?? [])]) {
    const { code, output } = await runOne({ ...run, args }, place);
    if (code !== 0) return `it ended with ${code}: ${output.trim().split("\n").at(-1) ?? ""}`;
    last = output;
  }
  return last.includes(ANSWER) ? undefined : `it did not tell the answer: ${last.trim().slice(-200)}`;
}

interface Ended {
  readonly code: number | string;
  readonly output: string;
}

async function runOne({ command, args, env = {} }: Run, place: Place): Promise<Ended> {
  const script = command.endsWith(".ts");
  const bin = join(place.package, "node_modules/.bin", command);
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const child = spawn(script ? process.execPath : bin, script ? [command, ...args] : args, {
    cwd: place.project,
    env: { ...surroundings(place.home), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT_MS,
  });
  let output = "";
  const gather = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on("data", gather);
  child.stderr.on("data", gather);
  child.on("error", (error) => resolve({ code: error.message, output }));
  child.on("close", (code, signal) => resolve({ code: code ?? signal ?? "nothing", output }));
  return promise;
}

/** An environment without this machine's settings. Only loopback can be reached. */
function surroundings(home: string): Record<string, string> {
  const closed = "http://127.0.0.1:9";
  return {
    HOME: home,
    PATH: [dirname(process.execPath), "/usr/bin", "/bin"].join(":"),
    LANG: "C.UTF-8",
    TERM: "dumb",
    HTTP_PROXY: closed,
    HTTPS_PROXY: closed,
    NO_PROXY: "127.0.0.1,localhost",
    no_proxy: "127.0.0.1,localhost",
  };
}
