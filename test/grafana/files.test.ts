import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DASHBOARDS, dashboardFiles } from "../../grafana/source/files.ts";
import { metricsIn, readRules } from "./rules.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Metrics of docs/metrics.md, which has its own test, and the few of prom-client that are used. */
const KNOWN = new Set([
  ...Array.from(read("docs/metrics.md").matchAll(/^\| `(sgnet_\w+)`/gm), ([, name]) => name),
  "nodejs_eventloop_lag_p99_seconds",
  "process_cpu_seconds_total",
  "process_resident_memory_bytes",
]);

function unknownIn(text: string): string[] {
  return [...metricsIn(text)].filter(
    (name) => !KNOWN.has(name.replace(/_(?:bucket|sum|count)$/, "")) && !KNOWN.has(name),
  );
}

const PANELS = DASHBOARDS.flatMap(({ uid, rows }) =>
  rows.flatMap(({ panels }) => panels.map((panel) => ({ at: `${uid}: ${panel.title}`, ...panel }))),
);

describe("the dashboards", () => {
  it("are what grafana/source makes", () => {
    const folder = "grafana/dashboards";
    assert.deepEqual(new Set(readdirSync(join(ROOT, folder))), new Set(dashboardFiles().keys()));
    const stale = [...dashboardFiles()].filter(([name, text]) => read(`${folder}/${name}`) !== text);
    assert.deepEqual(
      stale.map(([name]) => name),
      [],
      "run node grafana/source/write.ts",
    );
  });

  it("explain every panel and read no metric that is not documented", () => {
    assert.deepEqual(
      PANELS.filter(({ description }) => description.length < 15).map(({ at }) => at),
      [],
    );
    const wrong = PANELS.flatMap(({ at, queries }) =>
      queries.flatMap(({ expr }) => unknownIn(expr).map((name) => `${at}: ${name}`)),
    );
    assert.deepEqual(wrong, []);
  });

  it("have panels that lie within the grid and not on each other", () => {
    for (const text of dashboardFiles().values()) {
      const { panels } = JSON.parse(text) as {
        panels: { id: number; gridPos: Record<"x" | "y" | "w" | "h", number> }[];
      };
      const taken = new Set<string>();
      for (const { gridPos: pos } of panels) {
        assert.ok(pos.x + pos.w <= 24);
        for (let x = pos.x; x < pos.x + pos.w; x += 1) {
          for (let y = pos.y; y < pos.y + pos.h; y += 1) {
            assert.ok(!taken.has(`${x} ${y}`));
            taken.add(`${x} ${y}`);
          }
        }
      }
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    }
  });
});

describe("the alert rules", () => {
  const rules = readRules();
  const alerts = rules.filter(({ kind }) => kind === "alert");

  it("read no metric that is not documented", () => {
    assert.ok(alerts.length > 15);
    assert.deepEqual(
      rules.flatMap(({ name, text }) => unknownIn(text).map((metric) => `${name}: ${metric}`)),
      [],
    );
  });

  it("have a severity, a runbook that exists, and a test in which they fire; no runbook is without its rule", () => {
    const tests = read("test/grafana/rules.test.yml");
    for (const { name, text } of alerts) {
      assert.match(text, /severity: (?:warning|critical)/, name);
      assert.ok(
        text.includes(`runbook: docs/alerts.md#${name.toLowerCase()}\n`),
        `${name} names its runbook`,
      );
      assert.ok(tests.includes(`runbook: docs/alerts.md#${name.toLowerCase()}\n`), `${name} is tested`);
    }
    const headings = Array.from(read("docs/alerts.md").matchAll(/^## (\w+)$/gm), ([, name]) => name);
    assert.deepEqual(new Set(headings), new Set(alerts.map(({ name }) => name)));
  });
});
