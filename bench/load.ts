/** Process: the load generator. Takes a LoadSpec as its argument and prints a LoadReport. */
import { setTimeout as sleep } from "node:timers/promises";
import { postBytes } from "./cases.ts";
import { Histogram } from "../src/telemetry/duration-histogram.ts";
import { LoadClient } from "./load-client.ts";
import type { LoadRecord } from "./load-client.ts";
import type { ResourceUse, LoadError, LoadReport, LoadSpec } from "./load-spec.ts";
import { cpuSeconds, machineCpuSeconds, residentMb } from "./procfs.ts";

const DRAIN_STEP_MS = 5;

/** Counts while its window is open; errors always. */
class Tally implements LoadRecord {
  readonly latency = new Histogram();
  readonly first = new Histogram();
  readonly gap = new Histogram();
  readonly errors: Partial<Record<LoadError, number>> = {};
  requests = 0;
  tokens = 0;
  counting = false;

  firstToken(us: number): void {
    if (!this.counting) return;
    this.tokens += 1;
    this.first.record(us);
  }

  moreTokens(count: number, us: number): void {
    if (!this.counting) return;
    this.tokens += count;
    this.gap.record(us);
    for (let extra = 1; extra < count; extra += 1) this.gap.record(0);
  }

  answered(us: number): void {
    if (!this.counting) return;
    this.requests += 1;
    this.latency.record(us);
  }

  failed(error: LoadError): void {
    this.errors[error] = (this.errors[error] ?? 0) + 1;
  }
}

function cpuByRole(spec: LoadSpec): Record<string, number> {
  return Object.fromEntries(Object.entries(spec.pids).map(([role, pid]) => [role, cpuSeconds(pid)]));
}

async function startAll(clients: readonly LoadClient[], rampMs: number): Promise<void> {
  const begin = performance.now();
  for (const [index, client] of clients.entries()) {
    const wait = begin + (rampMs * index) / clients.length - performance.now();
    if (wait > 1) await sleep(wait);
    client.start();
  }
}

async function drain(clients: readonly LoadClient[], drainMs: number): Promise<void> {
  for (const client of clients) client.stop();
  const until = performance.now() + drainMs;
  while (performance.now() < until && clients.some((client) => client.busy)) await sleep(DRAIN_STEP_MS);
  for (const client of clients) client.close();
}

/** Opens the window for its time; returns its true length in s and what the processes spent in it. */
async function measure(
  spec: LoadSpec,
  tally: Tally,
): Promise<Pick<LoadReport, "seconds" | "expenses" | "othersCpuS">> {
  const machineBefore = machineCpuSeconds();
  const before = cpuByRole(spec);
  const begin = performance.now();
  tally.counting = true;
  await sleep(spec.windowMs);
  tally.counting = false;
  const seconds = (performance.now() - begin) / 1000;
  let othersCpuS = machineCpuSeconds() - machineBefore;
  const expenses: Record<string, ResourceUse> = {};
  for (const [role, cpu] of Object.entries(cpuByRole(spec))) {
    const cpuS = cpu - (before[role] ?? 0);
    expenses[role] = { cpuS, rssMb: residentMb(spec.pids[role] ?? 0) };
    othersCpuS -= cpuS;
  }
  return { seconds, expenses, othersCpuS: Math.max(0, othersCpuS) };
}

/** Runs one measurement. */
async function runLoad(spec: LoadSpec): Promise<LoadReport> {
  const tally = new Tally();
  const { port, path, body, key, tokens, endMark } = spec;
  const options = { port, tokens, endMark, request: postBytes(port, path, body, key), record: tally };
  const clients = Array.from({ length: spec.clients }, () => new LoadClient(options));
  await startAll(clients, spec.rampMs);
  await sleep(spec.warmMs);
  const measured = await measure(spec, tally);
  await drain(clients, spec.drainMs);
  return {
    ...measured,
    requests: tally.requests,
    tokens: tally.tokens,
    errors: tally.errors,
    latency: tally.latency.percentiles(),
    first: tally.first.percentiles(),
    gap: tally.gap.percentiles(),
    gapCurve: tally.gap.curve(),
  };
}

const spec = JSON.parse(process.argv[2] ?? "{}") as LoadSpec;
const report = await runLoad({ ...spec, pids: { ...spec.pids, load: process.pid } });
process.stdout.write(`${JSON.stringify(report)}\n`);
