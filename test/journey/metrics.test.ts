import assert from "node:assert/strict";
import { type Fleet, MODEL, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

async function pageOf(url: string, path: string): Promise<string> {
  const response = await fetch(`${url}${path}`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  return response.text();
}

/** The sum of a metric over all its labels. */
function sumOf(page: string, name: string): number {
  const values = page.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"));
  return Array.from(values, ([, value]) => Number(value)).reduce((sum, value) => sum + value, 0);
}

async function ask(fleet: Fleet): Promise<void> {
  const body = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hi" }] });
  const response = await fetch(`${fleet.gateway.url}/api/chat`, { method: "POST", body });
  assert.equal(response.status, 200);
  await response.text();
}

journey(
  "every gateway tells the metrics of the whole fleet, without a key; those of a worker that left go with it",
  { gateways: 2, posts: [{}, {}] },
  async (fleet) => {
    for (let n = 0; n < 4; n += 1) await ask(fleet);
    for (const { url } of fleet.gateways) {
      const page = await until("both workers and four attempts in the fleet's metrics", async () => {
        const told = await pageOf(url, "/metrics/fleet");
        const isWhole =
          sumOf(told, "sgnet_worker_attempts_ended_total") === 4 && sumOf(told, "sgnet_backend_slots") === 16;
        return isWhole && told;
      });
      assert.equal(sumOf(page, "sgnet_worker_up"), 2);
      assert.equal(sumOf(page, "sgnet_gateways"), 2);
      assert.equal(sumOf(page, "sgnet_model_workers"), 2);
      assert.equal(sumOf(page, "sgnet_backend_slots"), 16);
    }
    const own = await pageOf(fleet.gateway.url, "/metrics");
    const health = (await (await fetch(`${fleet.gateway.url}/healthz`)).json()) as Record<string, string>;
    assert.equal(health["status"], "ok");
    const { version, build = "" } = health;
    assert.ok(own.includes(`sgnet_build_info{version="${version}",build="${build}"`), "what /healthz says");
    assert.equal(sumOf(own, "sgnet_task_queue_seconds_count"), 4);
    assert.equal(sumOf(own, "sgnet_task_token_gap_seconds_count"), 4);
    assert.equal(sumOf(own, "sgnet_task_enqueue_seconds_count"), 4);
    const { worker } = fleet.post(0);
    worker.signal("SIGTERM");
    await worker.exited;
    const after = await pageOf(fleet.gateway.url, "/metrics/fleet");
    assert.equal(sumOf(after, "sgnet_worker_up"), 1);
    assert.equal(after.match(/^sgnet_worker_claims_total/gm)?.length, 1);
  },
);

journey("a gateway without Redis tells its own metrics and none of the fleet", {}, async (fleet) => {
  await fleet.redis.kill();
  await until("Redis is missed", async () => {
    return sumOf(await pageOf(fleet.gateway.url, "/metrics"), "sgnet_redis_up") === 0;
  });
  const response = await fetch(`${fleet.gateway.url}/metrics/fleet`);
  assert.equal(response.status, 503);
  assert.ok(sumOf(await pageOf(fleet.gateway.url, "/metrics"), "sgnet_redis_errors_total") > 0);
  await fleet.redis.startAgain({ empty: false });
  await until("the fleet is told again", async () => {
    return fleet.probe.ready && (await fetch(`${fleet.gateway.url}/metrics/fleet`)).ok;
  });
});
