import assert from "node:assert/strict";
import test from "node:test";
import { caseNamed } from "../../bench/cases.ts";
import type { LoadReport } from "../../bench/load-spec.ts";
import { plots } from "../../bench/plots/plots.ts";
import { barChart, lineChart } from "../../bench/plots/svg.ts";
import type { Sample } from "../../bench/report.ts";

const CASES = ["m1-64", "m2-500", "m3-1"].flatMap((name) => caseNamed(name) ?? []);

function report(tokens: number, roles: readonly string[]): LoadReport {
  const times = { count: 1, p50: 100, p99: 300, max: 400 };
  return {
    seconds: 1,
    requests: tokens / 8,
    tokens,
    errors: {},
    latency: times,
    first: times,
    gap: times,
    gapCurve: [1, 10, 100, 1000, 2000, 3000, 4000, 5000, 100_000],
    expenses: Object.fromEntries(roles.map((role) => [role, { cpuS: 0.5, rssMb: 1 }])),
    othersCpuS: 0,
  };
}

function parts(a: number, b: number): { name: string; value: number }[] {
  return [
    { name: "gateway", value: a },
    { name: "redis", value: b },
  ];
}

const SAMPLES: readonly Sample[] = CASES.flatMap(({ name }) => [
  { round: 1, case: name, leg: "direct" as const, report: report(80_000, ["load", "backend"]) },
  { round: 1, case: name, leg: "gateway" as const, report: report(8000, ["load", "gateway", "redis"]) },
]);

test("each chart that has figures is drawn, with the median at each bar", () => {
  const drawn = plots({ cases: CASES, legs: ["direct", "gateway"], samples: SAMPLES });
  assert.deepEqual([...drawn.keys()], ["throughput.svg", "cpu.svg", "first-token.svg", "gaps-500.svg"]);
  assert.match(drawn.get("throughput.svg") ?? "", />10,000<.*>1,000</s);
  const cpu = drawn.get("cpu.svg") ?? "";
  assert.match(cpu, />1000</, "0.5 s each of gateway and redis for 1,000 requests");
  assert.equal(cpu.match(/>direct</g), null, "the direct way has no process");
  const only = plots({ cases: CASES.slice(0, 1), legs: ["direct"], samples: SAMPLES });
  assert.deepEqual([...only.keys()], ["throughput.svg"]);
});

test("the longest bar of a group fills the width, parts lie side by side, words are escaped", () => {
  const svg = barChart({
    title: "a < b",
    groups: [
      {
        title: "one",
        bars: [
          { label: "x", parts: parts(30, 70), text: "100" },
          { label: "y", parts: parts(50, 0), text: "50" },
        ],
      },
    ],
  });
  const widths = Array.from(svg.matchAll(/height="16" fill="#[0-9a-f]+"/g)).length;
  assert.equal(widths, 4);
  const rects = Array.from(svg.matchAll(/<rect x="([\d.]+)" y="\d+" width="([\d.]+)" height="16"/g), (it) => [
    Number(it[1]),
    Number(it[2]),
  ]);
  assert.deepEqual(rects, [
    [150, 150],
    [300, 350],
    [150, 250],
    [400, 0],
  ]);
  assert.match(svg, /a &lt; b/);
});

test("a line chart covers its values, by powers of ten", () => {
  const svg = lineChart({
    title: "gaps",
    places: ["50 %", "99 %"],
    xTitle: "share",
    yTitle: "ms",
    lines: [{ name: "gateway", values: [2, 200] }],
  });
  const marks = Array.from(svg.matchAll(/text-anchor="end">([\d,]+)</g), ([, mark]) => mark);
  assert.deepEqual(marks, ["1", "10", "100", "1,000"]);
  const ys = Array.from((/points="([^"]+)"/.exec(svg)?.[1] ?? "").matchAll(/,([\d.]+)/g), (it) =>
    Number(it[1]),
  );
  assert.ok(
    ys.every((y) => y >= 96 && y <= 396),
    ys.join(),
  );
});
