import assert from "node:assert/strict";
import test from "node:test";
import { quickCases } from "../../bench/cases.ts";
import type { LegName } from "../../bench/legs.ts";
import type { LoadReport } from "../../bench/load-spec.ts";
import { shareOf } from "../../bench/metrics.ts";
import { readOptions } from "../../bench/options.ts";
import { medians, renderTable, spread } from "../../bench/report.ts";
import type { Sample } from "../../bench/report.ts";
import { complaints, judgement } from "../../bench/verdict.ts";

const NOTHING = { count: 0, p50: 0, p99: 0, max: 0 };
const LEGS = (["direct", "floor", "gateway"] as const).map((name) => ({ name, port: 1, pids: {} }));

function report(tokens: number, firstUs = 100, errors: LoadReport["errors"] = {}): LoadReport {
  const expenses = {
    load: { cpuS: 1, rssMb: 50 },
    gateway: { cpuS: 0.5, rssMb: 80 },
    redis: { cpuS: 0.1, rssMb: 20 },
  };
  const first = { ...NOTHING, p50: firstUs };
  return {
    seconds: 1,
    requests: tokens / 8,
    tokens,
    errors,
    latency: NOTHING,
    first,
    gap: NOTHING,
    gapCurve: [],
    expenses,
    othersCpuS: 0.25,
  };
}

/** Every quick case, measured once on each leg with tokens as many as on a quiet machine, changed by `change`. */
function samples(
  change: (leg: LegName, name: string) => LoadReport | undefined = () => undefined,
  round = 1,
): Sample[] {
  return quickCases().flatMap(({ name }) =>
    LEGS.map((leg) => ({
      round,
      case: name,
      leg: leg.name,
      report: change(leg.name, name) ?? report(leg.name === "floor" ? 40_000 : 80_000),
    })),
  );
}

test("a spread is the median with the least and the greatest", () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, min: 1, max: 3 });
  assert.deepEqual(spread([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
  assert.equal(spread([]), undefined);
});

test("the table sets the ways side by side, with what each adds and the gateway's share of the floor", () => {
  const rounds = [1, 2].flatMap((round) =>
    samples(
      (leg) => report(leg === "gateway" ? 40_000 * round : 80_000, leg === "direct" ? 100 : 500),
      round,
    ),
  );
  const table = renderTable(quickCases(), LEGS, rounds).split("\n");
  const cells = (figure: string): string[] => {
    const found = table
      .map((line) => line.split("|").map((cell) => cell.trim()))
      .find((line) => line[2] === figure);
    return found?.slice(3, -1) ?? [];
  };
  assert.deepEqual(cells("requests/s"), ["10,000", "10,000", "7,500 (5,000–10,000)", "0.75"]);
  assert.deepEqual(cells("first token p50 µs added"), ["–", "400", "400", "1.00"]);
  assert.deepEqual(cells("CPUs busy with other work"), ["0.25", "0.25", "0.25", ""]);
  assert.deepEqual(cells("CPU µs/request"), ["60", "60", "90 (60–120)", "1.50"]);
  assert.deepEqual(cells("CPU µs/request, gateway"), ["50", "50", "75 (50–100)", "1.50"]);
  assert.deepEqual(cells("CPU µs/request, worker"), [], "what no way has is left out");
  const { "m1-64": whole, "m3-1": first } = medians(quickCases(), LEGS, rounds) as Record<
    string,
    Record<string, unknown>
  >;
  const p99 = { "first token p99 µs": 0, "first token p99 µs added": 0 };
  assert.deepEqual(first?.["floor"], { "first token p50 µs": 500, "first token p50 µs added": 400, ...p99 });
  assert.deepEqual(whole?.["gateway"], {
    "requests/s": 7500,
    "latency p50 ms": 0,
    "latency p99 ms": 0,
    "CPU µs/request": 90,
    "CPU µs/request, gateway": 75,
    "CPU µs/request, redis": 15,
  });
});

test("a clean run has no complaint; a lost token is one in every run", () => {
  const [full, quick] = [readOptions([]), readOptions(["--quick"])];
  assert.deepEqual(complaints(quick, LEGS, samples()), []);
  const lost = samples((leg) => (leg === "gateway" ? report(80_000, 100, { tokens: 1 }) : undefined));
  assert.equal(complaints(full, LEGS, lost).length, 1);
});

/** Rounds of which each has its own change of the gateway's figures in one case. */
function changedRounds(name: string, ...changes: readonly LoadReport[]): Sample[] {
  return changes.flatMap((change, index) =>
    samples((leg, its) => (leg === "gateway" && its === name ? change : undefined), index + 1),
  );
}

test("a quick run complains of a missing leg, of tokens behind the offer and of poor ratios", () => {
  const quick = readOptions(["--quick"]);
  assert.match(complaints(quick, LEGS.slice(0, 2), samples()).join(), /gateway leg is missing/);
  assert.match(
    complaints(quick, LEGS, changedRounds("m2-50", report(1000))).join(),
    /gateway delivered only 1000 tokens\/s/,
  );
  const slow = complaints(quick, LEGS, changedRounds("m1-64", report(4000))).join();
  assert.match(slow, /m1-64 requests\/s: 0\.10 of the floor proxy at best, less than/);
  assert.match(slow, /m1-64 CPU per request: 10\.00 of the floor proxy at best, more than/);
  assert.match(
    complaints(quick, LEGS, changedRounds("m3-1", report(80_000, 5000))).join(),
    /m3-1 time to the first token: 50\.00/,
  );
});

test("the best round counts, and a round with other work on the machine does not", () => {
  const quick = readOptions(["--quick"]);
  assert.deepEqual(complaints(quick, LEGS, changedRounds("m1-64", report(4000), report(40_000))), []);
  const disturbed = { ...report(20_000), othersCpuS: 0.9 };
  assert.deepEqual(complaints(quick, LEGS, changedRounds("m1-64", { ...disturbed, tokens: 4000 })), []);
  assert.equal(complaints(quick, LEGS, changedRounds("m1-64", report(4000), disturbed)).length, 1);
  assert.match(judgement(changedRounds("m1-64", disturbed)).join("\n"), /requests\/s: not judged/);
  const costly = { ...disturbed, requests: 100 };
  assert.match(complaints(quick, LEGS, changedRounds("m1-64", costly)).join(), /CPU per request/);
});

test("the processes of a part count together", () => {
  const [one, two, nine] = [1, 2, 9].map((cpuS) => ({ cpuS, rssMb: 1 }));
  assert.ok(one !== undefined && two !== undefined && nine !== undefined);
  const expenses = { worker: one, "worker 2": two, workers: nine };
  assert.equal(shareOf({ ...report(8), expenses }, "worker", 3), 1e6);
  assert.equal(shareOf({ ...report(8), expenses }, "gateway", 3), undefined);
});

test("flags are checked", () => {
  assert.deepEqual(
    readOptions(["--cases", "m2-5000,m3-8"]).cases.map(({ name, clients }) => [name, clients]),
    [
      ["m2-5000", 5000],
      ["m3-8", 8],
    ],
  );
  assert.equal(readOptions(["--dialect", "openai"]).backend, "openai");
  assert.equal(readOptions(["--dialect", "openai", "--backend", "ollama"]).backend, "ollama");
  assert.deepEqual(readOptions(["--legs", "floor,direct", "--rounds", "2"]).legs, ["direct", "floor"]);
  for (const args of [
    ["--rounds", "x"],
    ["--legs", "moon"],
    ["--cases", "m9-1"],
    ["--cases", "m2-0"],
    ["--cases", "constructor-1"],
    ["--backend", "latin"],
    ["--dialect", "latin"],
    ["--moon"],
  ]) {
    assert.throws(() => readOptions(args), Error, args.join(" "));
  }
});
