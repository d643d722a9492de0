/**
 * H1: the cost of a request without keys, with a key, and with a key that has all limits; with `--base FOLDER` also that of
 * another checkout. All of them run beside each other, and are loaded in turn.
 */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { caseNamed, loadSpec } from "../cases.ts";
import type { BenchCase } from "../cases.ts";
import { Children } from "../children.ts";
import type { Child } from "../children.ts";
import { fetchText, freePort, startRedis, startScript } from "../legs.ts";
import type { LegContext } from "../legs.ts";
import type { LoadReport, LoadSpec } from "../load-spec.ts";
import { CPU_PER_REQUEST, LATENCY, REQUESTS } from "../metrics.ts";
import { askRedis } from "../redis-wire.ts";
import type { Claim, MeasureOptions, Part } from "./claim.ts";

const SLOTS = 1000;
const CASES = ["m1-64", "m1-256"];
/** Length of a window, and of an unmeasured one before all (ms). */
const WINDOW_MS = 1500;
const WARM_MS = 12_000;

/** Limits that no load reaches: all of them are counted, and none refuses. */
const WIDE = "1000000000000";
const ALL_LIMITS =
  `--rpm ${WIDE} --itpm ${WIDE} --otpm ${WIDE} --max-open ${WIDE} --budget-day ${WIDE} --budget-month ${WIDE}`.split(
    " ",
  );

/** One gateway with its Redis and worker. */
interface Setup {
  readonly name: string;
  readonly port: number;
  readonly redisPort: number;
  readonly pids: Readonly<Record<string, number>>;
  readonly key: string | undefined;
}

interface Plan {
  readonly name: string;
  /** Folder of the checkout. */
  readonly root: string;
  /** Options of the key; absent: none is needed. */
  readonly key?: readonly string[];
}

const HERE = path.join(import.meta.dirname, "../..");

function plansFor(base: string | undefined): readonly Plan[] {
  return [
    ...(base === undefined ? [] : [{ name: "base", root: path.resolve(base) }]),
    { name: "no keys", root: HERE },
    { name: "a key without limits", root: HERE, key: [] },
    { name: "a key with all limits", root: HERE, key: ALL_LIMITS },
  ];
}

/** Starts `sgnet` of a checkout in the folder of the run. */
function sgnet(
  context: LegContext,
  { role, root, args, env }: { role: string; root: string; args: readonly string[]; env: NodeJS.ProcessEnv },
): Child {
  const { PATH, HOME, SGNET_CACHE_DIR } = process.env;
  return context.children.start({
    role,
    command: process.execPath,
    args: [path.join(root, "src/cli.ts"), ...args],
    cwd: context.folder,
    env: { PATH, HOME, SGNET_CACHE_DIR, SGNET_LOG_LEVEL: "warn", SGNET_EMBEDDED_MODEL: "off", ...env },
  });
}

async function setUp(context: LegContext, { name, root, key: options }: Plan): Promise<Setup> {
  const redisPort = await freePort();
  const redis = await startRedis(context, redisPort);
  const port = await freePort();
  const env = { REDIS_URL: `redis://127.0.0.1:${redisPort}`, SGNET_SLOTS: String(SLOTS) };
  const start = (role: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Child =>
    sgnet(context, { role: `${name}: ${role}`, root, args, env: { ...env, ...more } });
  const gateway = start("gateway", ["gateway"], { PORT: String(port) });
  const backends = `ollama+http://127.0.0.1:${context.backendPorts[0] ?? 0}`;
  const worker = start("worker", ["worker"], { SGNET_BACKENDS: backends });
  const serves = async (): Promise<true | undefined> =>
    (await fetchText(port, "/api/tags"))?.includes('"sim-instant') === true || undefined;
  await gateway.until(serves);
  const pids = { gateway: gateway.pid, worker: worker.pid, redis: redis.pid };
  const setup = { name, port, redisPort, pids };
  if (options === undefined) return { ...setup, key: undefined };
  const created = start("keys", ["keys", "create", "bench", "--json", ...options]);
  const { secret } = JSON.parse(await created.output()) as { secret: string };
  context.children.forget(created);
  await gateway.until(async () => (await isClosed(port)) || undefined);
  return { ...setup, key: secret };
}

async function isClosed(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/models`);
  await response.arrayBuffer();
  return response.status === 401;
}

interface Sample {
  readonly setup: string;
  readonly case: string;
  readonly report: LoadReport;
  /** Commands that Redis carried out in all, scripts as one each, by request. */
  readonly commands: number;
}

async function load(
  context: LegContext,
  setup: Setup,
  { bench, windowMs }: { readonly bench: BenchCase; readonly windowMs: number },
): Promise<Sample> {
  const { port, pids, key, redisPort } = setup;
  const its: LoadSpec = {
    ...loadSpec(bench, "ollama", windowMs),
    port,
    pids,
    ...(key === undefined ? {} : { key }),
  };
  const before = await callsOf(redisPort);
  const child = startScript(context, "load", ["load.ts", JSON.stringify(its)]);
  const report = JSON.parse(await child.output()) as LoadReport;
  context.children.forget(child);
  const failed = Object.keys(report.errors);
  if (failed.length > 0) throw new Error(`${setup.name}: ${JSON.stringify(report.errors)}`);
  const calls = (await callsOf(redisPort)) - before;
  // The warm-up before the window sends requests, too.
  const share = report.seconds / (report.seconds + (its.warmMs + its.rampMs) / 1000);
  return { setup: setup.name, case: bench.name, report, commands: (calls * share) / report.requests };
}

/** Calls from clients; commands within scripts are none. */
async function callsOf(redisPort: number): Promise<number> {
  const info = await askRedis(redisPort, "INFO", "stats");
  return Number(/^total_commands_processed:(\d+)/m.exec(info)?.[1]);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/** Figures of a sample, by name. */
const FIGURES: readonly { readonly label: string; readonly of: (sample: Sample) => number | undefined }[] = [
  ...[REQUESTS, ...LATENCY, ...CPU_PER_REQUEST].map(({ label, of }) => ({
    label,
    of: ({ report }: Sample) => of(report),
  })),
  { label: "Redis commands/request", of: ({ commands }) => commands },
];

function claimsOf(samples: readonly Sample[]): readonly Claim[] {
  const groups = Map.groupBy(samples, (sample) => `${sample.case}, ${sample.setup}`);
  return [...groups].flatMap(([name, its]) =>
    FIGURES.map(({ label, of }) => ({
      text: `${name}: ${label}`,
      value: median(its.map((sample) => of(sample) ?? NaN)),
    })),
  );
}

async function measure({ quick, base }: MeasureOptions): Promise<readonly Claim[]> {
  const children = new Children();
  const folder = mkdtempSync(path.join(os.tmpdir(), "sgnet-cost-"));
  try {
    const begun: LegContext = {
      children,
      folder,
      backendPorts: [],
      slots: SLOTS,
      processes: 1,
      workers: 1,
      backendDialect: "ollama",
    };
    const backend = startScript(begun, "backend", ["backend.ts"]);
    const context = { ...begun, backendPorts: [await backend.readyPort()] };
    const setups: Setup[] = [];
    for (const plan of plansFor(base)) setups.push(await setUp(context, plan));
    const benches = CASES.flatMap((name) => caseNamed(name) ?? []).slice(0, quick ? 1 : 2);
    const [first] = benches;
    const windowMs = quick ? WARM_MS / 4 : WARM_MS;
    for (const setup of setups)
      if (first !== undefined) await load(context, setup, { bench: first, windowMs });
    const samples: Sample[] = [];
    for (let round = 0; round < (quick ? 3 : 9); round += 1) {
      for (const bench of benches) {
        // Each goes first once: the machine is not the same all the time.
        const turn = setups.map((_, index) => setups[(index + round) % setups.length]);
        for (const setup of turn) {
          if (setup !== undefined) samples.push(await load(context, setup, { bench, windowMs: WINDOW_MS }));
        }
      }
    }
    return claimsOf(samples);
  } finally {
    await children.stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

export const COST: Part = {
  name: "cost",
  title: "A request without keys, with one, and with limits",
  measure,
};
