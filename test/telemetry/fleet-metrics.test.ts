import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readWorkerAnnouncement } from "../../src/core/announcement.ts";
import { renderFleetMetrics } from "../../src/telemetry/fleet-metrics.ts";
import { openWorkerMetrics } from "../../src/telemetry/worker-metrics.ts";
import { PICTURE } from "./picture.ts";

async function lines(reports: ReadonlyMap<string, unknown>): Promise<string[]> {
  return (await renderFleetMetrics({ ...PICTURE, reports })).split("\n");
}

async function reportOf(claims: number): Promise<unknown> {
  const metrics = openWorkerMetrics({ version: "1.2.3" });
  metrics.claimed(claims);
  metrics.ended({ model: "tiny", backend: "b", code: "ok", totalSeconds: 0.07 });
  return JSON.parse(await metrics.report());
}

function of(worker: string): string {
  return `worker="${worker}",host="a"`;
}

describe("the fleet's metrics", () => {
  it("tell queues, and who serves them: neither those that drain nor backends that are down or broken", async () => {
    const page = await lines(new Map());
    assert.ok(page.includes('sgnet_queue_waiting_tasks{model="tiny"} 5'));
    assert.ok(page.includes('sgnet_queue_oldest_wait_seconds{model="tiny"} 1.5'));
    assert.ok(page.includes('sgnet_queue_oldest_idle_seconds{model="tiny"} 0.25'));
    assert.ok(page.includes('sgnet_model_workers{model="tiny"} 1'));
    assert.ok(page.includes('sgnet_model_slots{model="tiny"} 4'));
    assert.ok(page.includes('sgnet_model_workers{model="gone"} 0'));
  });

  it("tell workers, backends and what is in memory", async () => {
    const page = await lines(new Map());
    assert.ok(page.includes(`sgnet_model_circuit{${of("w1")},backend="ollama@a",model="tiny"} 0`));
    assert.ok(page.includes(`sgnet_model_circuit{${of("w4")},backend="ollama@a",model="tiny"} 2`));
    assert.ok(page.includes(`sgnet_worker_draining{${of("w2")},version="1.2.3"} 1`));
    assert.ok(page.includes(`sgnet_backend_up{${of("w3")},backend="ollama@a",kind="ollama"} 0`));
    assert.ok(page.includes(`sgnet_backend_busy_slots{${of("w1")},backend="ollama@a",kind="ollama"} 3`));
    assert.ok(page.includes(`sgnet_model_memory_bytes{${of("w1")},backend="ollama@a",model="tiny"} 7`));
    assert.ok(!page.some((line) => line.startsWith("sgnet_model_resident") && line.includes("cold")));
  });

  it("are there though a newer worker tells a state of a circuit that is not known here", async () => {
    const [worker] = PICTURE.workers;
    const [backend] = worker?.backends ?? [];
    assert.ok(worker !== undefined && backend !== undefined);
    const told = { model: "tiny", state: "constructor" };
    const newer = readWorkerAnnouncement({ ...worker, backends: [{ ...backend, gates: [told] }] });
    assert.ok(newer !== undefined);
    const page = await renderFleetMetrics({ ...PICTURE, workers: [newer], reports: new Map() });
    assert.ok(page.includes(`sgnet_worker_draining{${of("w1")},version="1.2.3"} 0`));
    assert.ok(!page.includes(`sgnet_model_circuit{${of("w1")},backend="ollama@a",model="tiny"}`));
  });

  it("tell each worker's own under its id, each family once", async () => {
    const page = await lines(
      new Map([
        ["w1", await reportOf(3)],
        ["w2", await reportOf(4)],
      ]),
    );
    assert.ok(page.includes('sgnet_worker_claims_total{worker="w1"} 3'));
    assert.ok(page.includes('sgnet_worker_claims_total{worker="w2"} 4'));
    const histogram = "sgnet_worker_attempt_duration_seconds";
    const labels = 'model="tiny",backend="b",worker="w2"';
    assert.ok(page.includes(`${histogram}_bucket{le="0.05",${labels}} 0`));
    assert.ok(page.includes(`${histogram}_bucket{le="0.1",${labels}} 1`));
    assert.ok(page.includes(`${histogram}_sum{${labels}} 0.07`));
    const families = page.filter((line) => line.startsWith("# TYPE"));
    assert.equal(new Set(families).size, families.length);
    assert.ok(page.some((line) => line.startsWith('nodejs_eventloop_lag_p99_seconds{worker="w1"}')));
    assert.ok(!page.some((line) => line.startsWith("nodejs_heap")));
  });

  it("leave out what is no metric, and never believe a worker about another", async () => {
    const sample = { value: 1, labels: {} };
    const good = { name: "sgnet_new_total", help: "h", type: "counter", values: [sample] };
    const page = await lines(
      new Map<string, unknown>([
        ["w1", "nonsense"],
        ["w2", [null, 7, { name: "x" }, { ...good, name: 'a{b="c"} 1\nd' }, { ...good, type: "magic" }]],
        [
          "w3",
          [{ ...good, values: [null, { value: "1", labels: {} }, { value: 2, labels: { worker: "w1" } }] }],
        ],
        ["w4", [{ ...good, name: "sgnet_gateways", type: "gauge" }]],
        [
          "w5",
          JSON.parse(
            '[{"name":"sgnet_p","help":"h","type":"gauge","values":[{"value":1,"labels":{"__proto__":{"x":1},"a b":"c","ok":"\\"\\n"}}]}]',
          ),
        ],
      ]),
    );
    const own = page.filter((line) => /^(?:sgnet_new|sgnet_p\{|sgnet_gateways|a|d|x)/.test(line));
    assert.deepEqual(own, [
      "sgnet_gateways 0",
      'sgnet_new_total{worker="w3"} 2',
      String.raw`sgnet_p{ok="\"\n",worker="w5"} 1`,
    ]);
  });
});
