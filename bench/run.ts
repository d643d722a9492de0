/** `make bench`: the same loads, interleaved, on the backend itself, through a bare proxy and through the gateway. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { behaviourFindings, renderFindings } from "./behaviour/behaviour.ts";
import type { BehaviourResult } from "./behaviour/rig.ts";
import { loadSpec } from "./cases.ts";
import type { BenchCase } from "./cases.ts";
import { Children } from "./children.ts";
import { REDIS_SETTINGS, gatewaySettings, startLeg, startScript } from "./legs.ts";
import type { Leg, LegContext } from "./legs.ts";
import type { LoadReport, LoadSpec } from "./load-spec.ts";
import { machineFacts } from "./machine.ts";
import type { Facts } from "./machine.ts";
import { plots } from "./plots/plots.ts";
import { readOptions } from "./options.ts";
import type { BenchOptions } from "./options.ts";
import { medians, renderTable } from "./report.ts";
import type { Sample } from "./report.ts";
import { complaints, judgement } from "./verdict.ts";

/** Room for the largest case. */
const SLOTS = 10_000;
const SETTLE_MS = 150;
/** Per process under test and kind of load. The gateway's way needs some 12 s until its code is compiled and its heaps have grown. */
const WARM_S = 2;

/** Everything a run needs while it lasts. */
interface Stage {
  readonly context: LegContext;
  readonly backendPid: number;
  readonly legs: readonly Leg[];
}

async function startStage(children: Children, folder: string, options: BenchOptions): Promise<Stage> {
  const start: LegContext = {
    children,
    folder,
    backendPorts: [],
    slots: SLOTS,
    processes: options.processes,
    workers: options.workers,
    backendDialect: options.backend,
  };
  const backend = startScript(start, "backend", ["backend.ts"]);
  const context = { ...start, backendPorts: [await backend.readyPort()] };
  const legs: Leg[] = [];
  for (const name of options.legs) {
    try {
      legs.push(await startLeg(name, context));
    } catch (error) {
      console.log(
        `Skipped: the ${name} leg did not start. ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return { context, backendPid: backend.pid, legs };
}

async function measure(
  stage: Stage,
  leg: Leg,
  benchCase: BenchCase,
  options: BenchOptions,
): Promise<LoadReport> {
  const spec: LoadSpec = {
    ...loadSpec(benchCase, options.dialect, options.seconds * 1000),
    port: leg.port,
    pids: { backend: stage.backendPid, ...leg.pids },
  };
  const load = startScript(stage.context, "load", ["load.ts", JSON.stringify(spec)]);
  const report = JSON.parse(await load.output()) as LoadReport;
  stage.context.children.forget(load);
  await sleep(SETTLE_MS);
  return report;
}

/**
 * Loads each way, unmeasured, until its code is compiled: whole answers and streams, the gateway for longest, as it has
 * most of it.
 */
async function warmUp(stage: Stage, options: BenchOptions): Promise<void> {
  const kinds = [true, false].flatMap(
    (stream) => options.cases.find((benchCase) => benchCase.stream === stream) ?? [],
  );
  for (const leg of stage.legs) {
    const seconds = WARM_S * Math.max(1, Object.keys(leg.pids).length);
    for (const kind of kinds) await measure(stage, leg, kind, { ...options, seconds });
  }
}

async function runRounds(stage: Stage, options: BenchOptions, begin: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  let longestMs = 0;
  await warmUp(stage, options);
  for (let round = 1; round <= options.rounds; round += 1) {
    const roundBegin = performance.now();
    if (roundBegin - begin + longestMs > options.limitS * 1000) {
      console.log(`Stopped after ${round - 1} rounds: another would pass the limit of ${options.limitS} s.`);
      break;
    }
    for (const benchCase of options.cases) {
      for (const leg of stage.legs) {
        const report = await measure(stage, leg, benchCase, options);
        samples.push({ round, case: benchCase.name, leg: leg.name, report });
      }
    }
    longestMs = Math.max(longestMs, performance.now() - roundBegin);
    console.log(`Round ${round} of ${options.rounds} took ${(longestMs / 1000).toFixed(0)} s.`);
  }
  return samples;
}

function settingsFacts(options: BenchOptions, samples: readonly Sample[]): Facts {
  const rounds = Math.max(0, ...samples.map(({ round }) => round));
  const gateway = Object.entries(gatewaySettings(SLOTS)).map(([name, value]) => `${name}=${value}`);
  return {
    settings: `${options.dialect} API, ${options.backend} backend, ${rounds} interleaved rounds, windows of ${options.seconds} s, median (min–max)`,
    gateway: `gateway processes: ${options.processes}, workers: ${options.workers}, ${gateway.join(" ")}`,
    redis: `defaults but ${REDIS_SETTINGS.map((word) => word || '""').join(" ")} (nothing on disk)`,
  };
}

/** Results of a run. */
interface Outcome {
  readonly facts: Facts;
  readonly samples: readonly Sample[];
  readonly findings: readonly BehaviourResult[];
}

/** Prints the outcome, writes it where asked, and returns the process's exit code. */
function conclude(legs: readonly Leg[], options: BenchOptions, outcome: Outcome): number {
  const { facts, samples, findings } = outcome;
  const all = { ...facts, ...settingsFacts(options, samples) };
  const lines = Object.entries(all).map(([name, fact]) => `- ${name}: ${fact}`);
  const tables = [
    ...(samples.length === 0 ? [] : [renderTable(options.cases, legs, samples)]),
    ...(findings.length === 0 ? [] : [renderFindings(options.legs, findings)]),
  ];
  const table = [`${lines.join("\n")}\n`, ...tables].join("\n");
  console.log(`\n${table}`);
  if (options.out !== undefined) {
    mkdirSync(options.out, { recursive: true });
    writeFileSync(path.join(options.out, "latest.md"), table);
    writeFileSync(
      path.join(options.out, "latest.json"),
      `${JSON.stringify({ facts: all, medians: medians(options.cases, legs, samples), findings, samples }, undefined, 1)}\n`,
    );
    const measured = { cases: options.cases, legs: legs.map(({ name }) => name), samples };
    for (const [file, svg] of plots(measured)) writeFileSync(path.join(options.out, file), svg);
    console.log(`Written to ${path.join(options.out, "latest.{md,json}")}, with plots.`);
  }
  if (options.quick) console.log(judgement(samples).join("\n"));
  const found = complaints(options, legs, samples);
  for (const complaint of found) console.log(`FAILED: ${complaint}`);
  return found.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const begin = performance.now();
  const options = readOptions(process.argv.slice(2));
  const facts = machineFacts(options.legs);
  let children = new Children();
  const folder = mkdtempSync(path.join(os.tmpdir(), "sgnet-bench-"));
  const clear = async (): Promise<void> => {
    await children.stopAll();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => void clear().finally(() => process.exit(130)));
  }
  try {
    let legs: readonly Leg[] = [];
    let samples: readonly Sample[] = [];
    if (options.cases.length > 0) {
      const stage = await startStage(children, folder, options);
      legs = stage.legs;
      samples = await runRounds(stage, options, begin);
      await children.stopAll();
    }
    const findings = await behaviourFindings({ ...options, folder }, (its) => (children = its));
    return conclude(legs, options, { facts, samples, findings });
  } finally {
    await clear();
  }
}

process.exitCode = await main();
