import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openGatewayMetrics, openWorkerMetrics } from "../../src/telemetry/metrics.ts";
import type { Metrics, TaskOutcome } from "../../src/telemetry/metrics.ts";

const ROOT = join(import.meta.dirname, "../..");
const version = "1.2.3";

const OUTCOME: TaskOutcome = {
  endpoint: "openai-chat",
  model: "smollm2",
  status: 200,
  code: "ok",
  totalSeconds: 2,
  firstByteSeconds: 0.3,
  usage: { promptTokens: 7, completionTokens: 11 },
  stream: true,
  redelivered: true,
};

/** The samples of our own metrics, without comments, as `name{labels}` to value. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split("\n").filter((line) => line.startsWith("sgnet_"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

async function families(metrics: Metrics): Promise<string[]> {
  return [...(await metrics.render()).matchAll(/^# TYPE (sgnet_\S+)/gm)].map(([, name]) => name ?? "");
}

/** Names of the gauges that the processes add: the first argument of `observe`. */
function observedGauges(): string[] {
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(ROOT, "src", file), "utf8"));
  const calls = sources.join("\n").matchAll(/metrics\??\.observe\(\s*"(\w+)"/g);
  return Array.from(calls, ([, name]) => `sgnet_${name}`);
}

describe("the metrics", () => {
  it("count a gateway's tasks by endpoint, model, code and status", async () => {
    const metrics = openGatewayMetrics({ version });
    metrics.opened("openai-chat");
    metrics.ended(OUTCOME);
    metrics.ended({ ...OUTCOME, stream: false, redelivered: false });
    metrics.rejected("openai-chat", "model_not_found");
    metrics.gapFilled();
    metrics.frames(3, 400);
    metrics.frames(2, 100);
    const got = await samples(metrics);
    const task = 'endpoint="openai-chat",model="smollm2"';
    assert.equal(got.get('sgnet_tasks_opened_total{endpoint="openai-chat"}'), 1);
    assert.equal(got.get(`sgnet_tasks_ended_total{${task},code="ok",status="200"}`), 2);
    assert.equal(got.get('sgnet_tasks_redelivered_total{endpoint="openai-chat"}'), 1);
    assert.equal(got.get(`sgnet_task_duration_seconds_sum{${task}}`), 4);
    assert.equal(got.get(`sgnet_task_first_byte_seconds_count{${task}}`), 1);
    assert.equal(got.get('sgnet_tokens_total{model="smollm2",kind="prompt"}'), 14);
    assert.equal(got.get('sgnet_tokens_total{model="smollm2",kind="completion"}'), 22);
    assert.equal(got.get('sgnet_requests_rejected_total{endpoint="openai-chat",code="model_not_found"}'), 1);
    assert.equal(got.get("sgnet_reply_gaps_filled_total"), 1);
    assert.equal(got.get("sgnet_reply_frames_total"), 5);
    assert.equal(got.get("sgnet_reply_bytes_total"), 500);
  });

  it("count a worker's attempts", async () => {
    const metrics = openWorkerMetrics({ version });
    metrics.claimed(4);
    metrics.reclaimed(1);
    metrics.fenced();
    metrics.emitted(10, 1000);
    metrics.ended({ model: "m", backend: "ollama@x", code: "backend_lost", totalSeconds: 1 });
    const got = await samples(metrics);
    assert.equal(got.get("sgnet_worker_claims_total"), 4);
    assert.equal(got.get("sgnet_worker_reclaims_total"), 1);
    assert.equal(got.get("sgnet_worker_fenced_total"), 1);
    assert.equal(got.get("sgnet_worker_flushes_total"), 1);
    assert.equal(got.get("sgnet_worker_frames_total"), 10);
    assert.equal(got.get("sgnet_worker_frame_bytes_total"), 1000);
    const ended = 'sgnet_worker_attempts_ended_total{model="m",backend="ollama@x",code="backend_lost"}';
    assert.equal(got.get(ended), 1);
  });

  it("ask a gauge at each scrape and name the versions", async () => {
    const metrics = openGatewayMetrics({ version });
    let open = 3;
    metrics.observe("tasks_open", "Open tasks", () => open);
    assert.equal((await samples(metrics)).get("sgnet_tasks_open"), 3);
    open = 5;
    const got = await samples(metrics);
    assert.equal(got.get("sgnet_tasks_open"), 5);
    assert.equal(got.get(`sgnet_build_info{version="1.2.3",node="${process.version}"}`), 1);
    assert.match(metrics.contentType, /^text\/plain/);
    assert.match(await metrics.render(), /^nodejs_eventloop_lag_p99_seconds /m);
  });

  it("are all in docs/metrics.md, and nothing else is", async () => {
    const documented = new Set(
      [...readFileSync(join(ROOT, "docs/metrics.md"), "utf8").matchAll(/^\| `(sgnet_\w+)`/gm)].map(
        ([, name]) => name,
      ),
    );
    const known = new Set([
      ...(await families(openGatewayMetrics({ version }))),
      ...(await families(openWorkerMetrics({ version }))),
      ...observedGauges(),
    ]);
    assert.deepEqual(documented, known);
  });
});
