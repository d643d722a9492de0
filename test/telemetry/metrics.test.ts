import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { renderFleetMetrics } from "../../src/telemetry/fleet-metrics.ts";
import { NO_USAGE } from "../../src/core/access/usage-record.ts";
import { openGatewayMetrics } from "../../src/telemetry/gateway-metrics.ts";
import type { GatewayMetrics, TaskOutcome } from "../../src/telemetry/gateway-metrics.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import { openWorkerMetrics } from "../../src/telemetry/worker-metrics.ts";
import type { WorkerMetrics } from "../../src/telemetry/worker-metrics.ts";
import { PICTURE } from "./picture.ts";

const ROOT = join(import.meta.dirname, "../..");
const version = "1.2.3";

const OUTCOME: TaskOutcome = {
  endpoint: "openai-chat",
  model: "smollm2",
  status: 200,
  code: "ok",
  totalSeconds: 2,
  firstByteSeconds: 0.3,
  queueSeconds: undefined,
  usage: { promptTokens: 7, completionTokens: 11 },
  stream: true,
  redelivered: true,
  leftIn: undefined,
};

/** The samples of our own metrics, without comments, as `name{labels}` to value. */
async function samples(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.render()).split("\n").filter((line) => line.startsWith("sgnet_"));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
}

/** Name, kind and label names of our own metrics, as the page of metrics has them. */
function described(page: string): Map<string, string> {
  const kinds = new Map(
    Array.from(page.matchAll(/^# TYPE (sgnet_\S+) (\w+)/gm), ([, name = "", kind]) => [name, kind]),
  );
  return new Map(
    Array.from(kinds, ([name, kind]) => {
      const sample = new RegExp(`^${name}(?:_bucket)?(?:\\{(.*)\\})? `, "m").exec(page);
      assert.ok(sample, `${name} has a sample`);
      const labels = Array.from((sample[1] ?? "").matchAll(/(\w+)="/g), ([, label]) => label);
      return [name, `${kind} ${labels.filter((label) => label !== "le").join(", ")}`.trim()];
    }),
  );
}

/** The rows of docs/metrics.md, in the same form. */
function documented(): Map<string, string> {
  const page = readFileSync(join(ROOT, "docs/metrics.md"), "utf8");
  const rows = page.matchAll(/^\| `(sgnet_\w+)`\s*\| (\w+)\s*\|([^|]*)\|/gm);
  return new Map(
    Array.from(rows, ([, name = "", kind, labels = ""]) => [name, `${kind} ${labels.trim()}`.trim()]),
  );
}

/** Gauges that a gateway adds: the first argument of `observe`, `observeEach` and `observeAll`, and their labels. */
function observedGauges(): Map<string, string> {
  const source = readdirSync(join(ROOT, "src/gateway"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(ROOT, "src/gateway", file), "utf8"))
    .join("\n");
  const calls = source.matchAll(
    /metrics\.observe(?:Each|All)?\(\s*"(\w+)",[^;]*?(?:labels?: (?:"(\w+)"|\[([^\]]*)\])|=>)/g,
  );
  return new Map(
    Array.from(calls, ([, name, label = "", labels = label]) => [
      `sgnet_${name}`,
      `gauge ${labels.replaceAll('"', "")}`.trim(),
    ]),
  );
}

function busyGateway(): GatewayMetrics {
  const metrics = openGatewayMetrics({ version });
  metrics.opened("openai-chat");
  metrics.ended({ ...OUTCOME, queueSeconds: 0.1, leftIn: "queued", cause: "client" });
  metrics.rejected("openai-chat", "model_not_found");
  metrics.tenantUsed("lab", { ...NO_USAGE, requests: 1 }, "ok");
  metrics.tenantRefused("lab", "budget_exceeded");
  metrics.wrongKey(false);
  return metrics;
}

function busyWorker(): WorkerMetrics {
  const metrics = openWorkerMetrics({ version });
  metrics.ended({
    model: "m",
    backend: "b",
    code: "ok",
    totalSeconds: 1,
    loadSeconds: 1,
    usage: { promptTokens: 1, completionTokens: 1 },
  });
  metrics.requeued("b", "busy");
  metrics.attemptFailed("b", "backend");
  metrics.probed("b", "works");
  metrics.circuitChanged("b", "m", "open");
  metrics.loaded("b", "m");
  metrics.swapped("b", 3);
  return metrics;
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

  it("count what a backend took to load a model, but not the moment one in memory takes", async () => {
    const metrics = openWorkerMetrics({ version });
    const outcome = { model: "m", backend: "ollama@x", code: "ok", totalSeconds: 1 };
    metrics.ended({ ...outcome, loadSeconds: 0.04 });
    metrics.ended({ ...outcome, loadSeconds: 12 });
    metrics.ended(outcome);
    const got = await samples(metrics);
    assert.equal(got.get('sgnet_worker_model_load_seconds_count{model="m",backend="ollama@x"}'), 1);
    assert.equal(got.get('sgnet_worker_model_load_seconds_sum{model="m",backend="ollama@x"}'), 12);
  });

  it("ask a gauge at each scrape and name the versions", async () => {
    const metrics = openGatewayMetrics({ version });
    let open = 3;
    metrics.observe("tasks_open", "Open tasks", () => open);
    assert.equal((await samples(metrics)).get("sgnet_tasks_open"), 3);
    open = 5;
    const got = await samples(metrics);
    assert.equal(got.get("sgnet_tasks_open"), 5);
    assert.equal(got.get(`sgnet_build_info{version="1.2.3",build="",node="${process.version}"}`), 1);
    assert.match(metrics.contentType, /^text\/plain/);
    assert.match(await metrics.render(), /^nodejs_eventloop_lag_p99_seconds /m);
  });

  it("count a client that left by its phase, and a stream's queue wait and gap between tokens", async () => {
    const metrics = openGatewayMetrics({ version });
    metrics.ended({ ...OUTCOME, queueSeconds: 0.1 });
    metrics.ended({ ...OUTCOME, code: "cancelled", leftIn: "queued" });
    metrics.queued(0.002);
    const got = await samples(metrics);
    assert.equal(got.get('sgnet_tasks_cancelled_total{endpoint="openai-chat",phase="queued"}'), 1);
    assert.equal(got.get('sgnet_task_queue_seconds_sum{model="smollm2"}'), 0.1);
    assert.equal(got.get('sgnet_task_queue_seconds_count{model="smollm2"}'), 1);
    // Eleven tokens in 2 s, the first after 0.3 s: ten gaps in 1.7 s.
    assert.equal(got.get('sgnet_task_token_gap_seconds_bucket{le="0.15",model="smollm2"}'), 0);
    assert.equal(got.get('sgnet_task_token_gap_seconds_bucket{le="0.2",model="smollm2"}'), 2);
    assert.equal(got.get('sgnet_task_enqueue_seconds_bucket{le="0.001"}'), 0);
    assert.equal(got.get('sgnet_task_enqueue_seconds_bucket{le="+Inf"}'), 1);
  });

  it("are all in docs/metrics.md as they are, and nothing else is", async () => {
    const known = new Map([
      ...described(await busyGateway().render()),
      ...described(await busyWorker().render()),
      ...described(await renderFleetMetrics({ ...PICTURE, reports: new Map() })),
      ...observedGauges(),
    ]);
    assert.deepEqual(documented(), known);
  });
});
