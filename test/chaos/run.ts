import { parseArgs } from "node:util";
import { run } from "./engine.ts";
import { FAULT_NAMES, type FaultName } from "./faults.ts";
import { reportOf } from "./report.ts";

/** `make chaos SECONDS=600 SEED=7 FAULTS=redis-kill,worker-freeze`: as long as wanted, over as many seeds. */
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "" },
    clients: { type: "string", default: "20" },
    faults: { type: "string", default: "" },
  },
});

/** One seed lasts so long at most, s: histories stay small and every so often the end is looked at. */
const SECONDS_PER_SEED = 60;

function faultsOf(text: string): FaultName[] {
  const asked = text.split(",").filter((name) => name !== "");
  for (const name of asked) {
    if (!FAULT_NAMES.includes(name as FaultName)) {
      throw new Error(`there is no fault ${name}; there are: ${FAULT_NAMES.join(" ")}`);
    }
  }
  return asked as FaultName[];
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function runSeed(seed: number, seconds: number): Promise<boolean> {
  print(`\nseed ${seed}, ${seconds} s`);
  const began = performance.now();
  const verdict = await run({
    seed,
    seconds,
    clients: Number(values.clients),
    faults: faultsOf(values.faults),
    tell: (text) => print(`${((performance.now() - began) / 1000).toFixed(1).padStart(7)} s ${text}`),
  });
  print(reportOf(verdict));
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
print(
  failed.length === 0 ? "\nEvery promise was kept." : `\nPromises were broken by seeds ${failed.join(" ")}.`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
