import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Fleet } from "../rig/fleet/fleet.ts";
import { type Python, pythonWith } from "../rig/python.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import { compare, passedOf, report } from "./comparison.ts";
import { type Outcomes, runPytest } from "./pytest.ts";
import { startScriptedBackend } from "./scripted-backend.ts";
import { type Suite, SUITES } from "./suites.ts";

/**
 * `make sdk-suites` runs the tests that OpenAI and Anthropic publish with their SDKs for Python. It runs them against a
 * scripted backend, then against a gateway and a worker before that backend, and compares. `OPENAI_PYTHON` and
 * `ANTHROPIC_PYTHON` name folders with the SDKs' sources. Without them nothing runs. `MOCK_URL` puts a mock of your own
 * in the place of the script. Arguments are kinds of backends: `openai` when there is none.
 */

const KINDS: readonly string[] = process.argv.length > 2 ? process.argv.slice(2) : ["openai"];

/** A vendor's SDK. */
interface Sources {
  readonly folder: string;
  readonly python: Python;
}

let unexplained = 0;
for (const suite of SUITES) {
  const folder = process.env[suite.folder];
  if (folder === undefined || !existsSync(join(folder, "pyproject.toml"))) {
    say(`${suite.sdk}: skipped, since ${suite.folder} names no folder with the sources of the SDK`);
    continue;
  }
  const python = await pythonWith(`${suite.sdk}==${versionOf(folder)}`, ...suite.packages);
  if (typeof python === "string") say(`${suite.sdk}: skipped: ${python}`);
  else await runSuite(suite, { folder, python });
}
process.exitCode = unexplained > 0 ? 1 : 0;

/** One suite before backends of all kinds, compared with what it says of the script itself. */
async function runSuite(suite: Suite, { folder, python }: Sources): Promise<void> {
  const models = modelsIn(suite, folder);
  const scripted = await startScriptedBackend({ models, mock: process.env["MOCK_URL"] });
  const ollama = await startStandIn({ speaks: "ollama", models });
  const files = suite.files.filter(({ path }) => existsSync(join(folder, path)));
  const runAll = async (url: string): Promise<Map<string, Outcomes>> => {
    const found = new Map<string, Outcomes>();
    for (const file of files) {
      const outcomes = await runPytest({ python, folder, file, baseUrl: url + suite.base });
      found.set(file.path, outcomes);
      process.stderr.write(`${file.path}: ${passedOf(outcomes)} of ${outcomes.size} pass\n`);
    }
    return found;
  };
  try {
    const direct = await runAll(scripted.url);
    for (const kind of KINDS) {
      const backend = kind === "ollama" ? ollama.url : scripted.url;
      const gateway = await throughGateway({ backend: `${kind}+${backend}`, model: models[0] }, runAll);
      const { table, open } = report(
        files.map(({ path }) => compare(path, outcomesOf(path, direct, gateway))),
      );
      say(`\n${suite.sdk} ${versionOf(folder)}, backend of the kind ${kind}\n${table}`);
      unexplained += open;
    }
  } finally {
    await Promise.all([scripted.stop(), ollama.stop()]);
  }
}

function outcomesOf(
  path: string,
  direct: ReadonlyMap<string, Outcomes>,
  gateway: ReadonlyMap<string, Outcomes>,
): Parameters<typeof compare>[1] {
  return { direct: direct.get(path) ?? new Map(), gateway: gateway.get(path) ?? new Map() };
}

/** Runs something with the address of a gateway that has one worker, before one backend. */
async function throughGateway<Found>(
  { backend, model }: { readonly backend: string; readonly model: string | undefined },
  run: (url: string) => Promise<Found>,
): Promise<Found> {
  const fleet = await Fleet.start({ posts: [] });
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: backend, SGNET_SLOTS: "8" });
    await fleet.known(model);
    return await run(fleet.gateway.url);
  } finally {
    await fleet.stop();
  }
}

/** Every model that the tests name. */
function modelsIn({ files }: Suite, folder: string): readonly string[] {
  const texts = files
    .map(({ path }) => join(folder, path))
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"));
  const calls = texts.join("\n").matchAll(/(?:model(?:_id)?=|\.retrieve\(\s*)"([^"]+)"/g);
  return [...new Set([...calls].map(([, name = ""]) => name))];
}

function versionOf(folder: string): string {
  const project = readFileSync(join(folder, "pyproject.toml"), "utf8");
  const version = /^version = "([^"]+)"/m.exec(project)?.[1];
  if (version === undefined) throw new Error(`${folder}/pyproject.toml has no version`);
  return version;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
