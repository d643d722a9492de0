import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { needs, promtool } from "./installed.ts";

const ROOT = join(import.meta.dirname, "../..");

describe("what Prometheus is given", needs("promtool"), () => {
  it("is a valid configuration with valid rules", () => {
    assert.equal(promtool(["check", "config", join(ROOT, "grafana/prometheus/prometheus.yml")]), "");
  });

  it("alerts when it should, and only then", () => {
    assert.equal(promtool(["test", "rules", join(import.meta.dirname, "rules.test.yml")]), "");
  });
});
