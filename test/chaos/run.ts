import { parseArgs } from "node:util";
import { run } from "./engine.ts";
import { type FaultName, faultsOf } from "./faults.ts";
import { reportOf, summaryOf, talliesOf, type Tally } from "./report.ts";
import { TOPOLOGIES, type Topology } from "./world.ts";

/** `make chaos SECONDS=600 SEED=7 FAULTS=redis-kill,worker-freeze TOPOLOGY=cluster KEYS=1`: as long as wanted, over as many seeds. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "" },
    clients: { type: "string", default: "20" },
    faults: { type: "string", default: "" },
    topology: { type: "string", default: process.env["TOPOLOGY"] ?? "one" },
    keys: { type: "boolean", default: process.env["KEYS"] === "1" },
  },
});

/** One seed lasts so long at most, s: histories stay small and every so often the end is looked at. */
const SECONDS_PER_SEED = 60;

function topologyNamed(text: string): Topology {
  const found = TOPOLOGIES.find((name) => name === text);
  if (found === undefined)
    throw new Error(`there is no topology ${text}; there are: ${TOPOLOGIES.join(" ")}`);
  return found;
}

function faultsNamed(text: string, known: readonly FaultName[]): FaultName[] {
  const asked = text.split(",").filter((name) => name !== "");
  for (const name of asked) {
    if (!known.includes(name as FaultName)) {
      throw new Error(`there is no fault ${name}; there are: ${known.join(" ")}`);
    }
  }
  return asked as FaultName[];
}

const tallies: Tally[] = [];

const topology = topologyNamed(values.topology);

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function runSeed(seed: number, seconds: number): Promise<boolean> {
  print(`\nseed ${seed}, ${topology}${values.keys ? " with keys" : ""}, ${seconds} s`);
  const began = performance.now();
  const verdict = await run({
    seed,
    seconds,
    clients: Number(values.clients),
    topology,
    keys: values.keys,
    faults: faultsNamed(values.faults, faultsOf(topology)),
    tell: (text) => print(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s ${text}`),
  });
  print(reportOf(verdict));
  tallies.push(...talliesOf(verdict.history));
  print(`\nthe longest request:\n${verdict.longest}`);
  for (const story of verdict.stories) print(`\n${story}`);
  return verdict.breaches.length === 0;
}

let left = Number(values.seconds);
let seed = values.seed === "" ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const failed: number[] = [];
while (left > 0) {
  const seconds = Math.min(left, SECONDS_PER_SEED);
  if (!(await runSeed(seed, seconds))) failed.push(seed);
  left -= seconds;
  seed += 1;
}
print(`\n${summaryOf(tallies)}`);
print(
  failed.length === 0 ? "\nEvery promise was kept." : `\nPromises were broken by seeds ${failed.join(" ")}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
