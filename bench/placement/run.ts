/** `make bench-placement`: several models on one server that cannot hold them, with and without a gateway before it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Children } from "../children.ts";
import { REDIS_SETTINGS } from "../legs.ts";
import type { LegContext } from "../legs.ts";
import { machineFacts } from "../machine.ts";
import { aloneRounds } from "./alone.ts";
import type { AloneRound } from "./alone.ts";
import { Load } from "./load.ts";
import { readPlacementOptions } from "./options.ts";
import type { PlacementOptions } from "./options.ts";
import { renderAlone, renderResults, renderVerdicts } from "./report.ts";
import { tally } from "./tally.ts";
import type { Tally } from "./tally.ts";
import { aloneVerdicts, broken, verdictsOf } from "./verdicts.ts";
import type { Verdict, WorkloadResult } from "./verdicts.ts";
import { WAYS, settingsOf, startWay } from "./ways.ts";
import { workloads } from "./workloads.ts";
import type { LegPlan, Workload } from "./workloads.ts";

async function runLeg(leg: LegPlan, workload: Workload, context: LegContext): Promise<() => Promise<Tally>> {
  const way = await startWay(leg.way, context, { ...workload.engine, ...leg.engine });
  const models = workload.engine.models.map(({ name }) => name);
  return async () => {
    const begin = performance.now();
    const visits = await new Load(way.port).run(leg.sources(), workload.windowMs);
    const seconds = (performance.now() - begin) / 1000;
    const counters = await way.counters();
    await way.stop();
    return tally(models, visits, counters, seconds);
  };
}

/** Starts the ways of a workload, then loads all of them at once, or each before the next is started. */
async function runWorkload(
  workload: Workload,
  context: LegContext,
  inTurn: boolean,
): Promise<WorkloadResult> {
  const tallies: Tally[] = [];
  if (inTurn) {
    for (const leg of workload.legs) tallies.push(await (await runLeg(leg, workload, context))());
  } else {
    const loads = await Promise.all(workload.legs.map(async (leg) => await runLeg(leg, workload, context)));
    tallies.push(...(await Promise.all(loads.map(async (load) => await load()))));
  }
  const legs = workload.legs.flatMap(({ name }, index) => {
    const its = tallies[index];
    return its === undefined ? [] : [[name, its] as const];
  });
  const { name, title, places, engine } = workload;
  const loadMs = Math.max(...engine.models.map((model) => model.loadMs));
  return { name, title, loadMs, models: engine.models.length, places, legs: Object.fromEntries(legs) };
}

/** The results of a run. */
interface Outcome {
  readonly results: readonly WorkloadResult[];
  readonly rounds: readonly AloneRound[];
  readonly verdicts: readonly Verdict[];
}

async function measure(options: PlacementOptions, context: LegContext): Promise<Outcome> {
  const results: WorkloadResult[] = [];
  for (const workload of workloads(options)) {
    if (!options.only.includes(workload.name)) continue;
    const begin = performance.now();
    results.push(await runWorkload(workload, context, options.inTurn));
    console.log(`${workload.title}: took ${((performance.now() - begin) / 1000).toFixed(0)} s.`);
  }
  const rounds = options.only.includes("alone") ? await aloneRounds(context, options.quick) : [];
  const alone = rounds.length === 0 ? [] : aloneVerdicts(rounds);
  return { results, rounds, verdicts: [...results.flatMap(verdictsOf), ...alone] };
}

/** Prints the outcome, writes it where asked, and returns the process's exit code. */
function conclude(options: PlacementOptions, { results, rounds, verdicts }: Outcome): number {
  const settings = WAYS.filter((way) => way !== "direct").map((way) => {
    const all = Object.entries(settingsOf(way)).map(([name, value]) => `${name}=${value}`);
    return `${way}: ${all.join(" ")}`;
  });
  const facts = {
    ...machineFacts([]),
    settings: `${settings.join("; ")}; all else default; ways ${options.inTurn ? "in turn" : "at the same time, each with an engine of its own"}`,
    redis: `defaults but ${REDIS_SETTINGS.map((word) => word || '""').join(" ")} (nothing on disk)`,
  };
  const text = [
    `${Object.entries(facts)
      .map(([name, fact]) => `- ${name}: ${fact}`)
      .join("\n")}\n`,
    ...(results.length === 0 ? [] : [renderResults(results)]),
    ...(rounds.length === 0 ? [] : [renderAlone(rounds)]),
    renderVerdicts(verdicts),
  ].join("\n");
  console.log(`\n${text}`);
  if (options.out !== undefined) {
    mkdirSync(options.out, { recursive: true });
    writeFileSync(path.join(options.out, "placement.md"), text);
    const all = JSON.stringify({ facts, verdicts, results, rounds }, undefined, 1);
    writeFileSync(path.join(options.out, "placement.json"), `${all}\n`);
    console.log(`Written to ${path.join(options.out, "placement.{md,json}")}.`);
  }
  for (const { workload, claim } of broken(verdicts)) console.log(`FAILED: ${workload}: ${claim}`);
  return broken(verdicts).length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = readPlacementOptions(process.argv.slice(2));
  const children = new Children();
  const folder = mkdtempSync(path.join(os.tmpdir(), "sgnet-placement-"));
  const clear = async (): Promise<void> => {
    await children.stopAll();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void clear().finally(() => process.exit(130)));
  }
  const context: LegContext = {
    children,
    folder,
    backendPorts: [],
    slots: 0,
    processes: 1,
    workers: 1,
    backendDialect: "ollama",
  };
  try {
    return conclude(options, await measure(options, context));
  } finally {
    await clear();
  }
}

process.exitCode = await main();
