import assert from "node:assert/strict";
import { join } from "node:path";
import { findProgram } from "../../src/config/environment.ts";
import { asArray, asText } from "../../src/redis/connection/resp.ts";
import { guardedRedis } from "../rig/redis/shipped-users.ts";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { fleetUnder, withTls, withUsers } from "../rig/redis/guard.ts";
import { redisPrograms } from "../rig/redis/redis-programs.ts";
import { SentinelTrio } from "../rig/redis/sentinel-trio.ts";
import { allDone, askAll, Asked, assertAnswered, assertDefinite, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, type FleetPlan, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Commands that Redis has refused anybody. */
async function refusals(fleet: Fleet): Promise<string[]> {
  const logs = await fleet.probe.everywhere("ACL", "LOG");
  return logs.flatMap((log) => asArray(log).map((entry) => asArray(entry).map(asText).join(" ")));
}

function guardedBy(redis: NonNullable<FleetPlan["redis"]>): FleetPlan {
  return { redis, posts: [{ slots: 8 }, { slots: 8 }] };
}

function guarded(program?: string): FleetPlan {
  return guardedBy(async (dir) => guardedRedis(dir, program));
}

/** Streams, whole answers, a large body, a management request, a client that leaves, a worker that is killed, and leaving. */
async function everything(fleet: Fleet): Promise<void> {
  const [first, second] = [fleet.post(0), fleet.post(1)];
  for (const { standIn } of [first, second]) standIn.behaviour.tokenMs = 20;
  const show = await fetch(`${fleet.gateway.url}/api/show`, {
    method: "POST",
    body: JSON.stringify({ model: MODEL }),
  });
  assert.match(await show.text(), /404 page not found/, "the stand-in's own answer, by a management request");
  const prompt = "x".repeat(200_000);
  const asked = [
    ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 60 }),
    ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 60, prompt }),
  ];
  const leaving = new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: 500 });
  await until("tokens", () => leaving.tokens > 1);
  leaving.leave();
  await first.worker.kill();
  await allDone([...asked, leaving]);
  for (const one of asked.filter(({ question }) => !question.stream)) assertAnswered(one);
  const again = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 });
  await allDone(again);
  for (const one of again) assertAnswered(one);
  const pages = ["/metrics/fleet", "/v1/models"].map(
    async (path) => (await fetch(fleet.gateway.url + path)).status,
  );
  assert.deepEqual([...(await Promise.all(pages)), ...(await refusals(fleet))], [200, 200]);
  second.worker.signal("SIGTERM");
  fleet.gateway.signal("SIGTERM");
  await Promise.all([second.worker.exited, fleet.gateway.exited]);
  assert.deepEqual(await refusals(fleet), []);
  assert.doesNotMatch(fleet.story, /secret-sgnet/);
}

for (const { name, path } of redisPrograms()) {
  const told = `on ${name}, under users with least rights, everything works, and no secret is told`;
  journey(told, guarded(path), everything);
}

journey(
  "a user that loses a right: 503 that says so, service when it has it again",
  guarded(),
  async (fleet) => {
    await fleet.probe.command("ACL", "SETUSER", "sgnet-gateway", "-xadd");
    const refused = await fetch(`${fleet.gateway.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hello" }] }),
    });
    assert.equal(refused.status, 503);
    assert.match(await refused.text(), /Redis refuses commands now \(NOPERM\)/);
    await fleet.probe.command("ACL", "SETUSER", "sgnet-gateway", "+xadd");
    await fleet.probe.command("ACL", "SETUSER", "sgnet-worker", "-xreadgroup");
    const { worker } = fleet.post();
    await until("a worker that tells", () => /"claiming failed".*NOPERM/.test(worker.story));
    await fleet.probe.command("ACL", "SETUSER", "sgnet-worker", "+xreadgroup");
    const again = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 });
    await allDone(again);
    for (const one of again) assertAnswered(one);
  },
);

journey(
  "on a Redis Cluster under users with least rights everything works",
  guardedBy(async (dir) => {
    const guard = withUsers(dir);
    return fleetUnder(await RedisCluster.start(dir, guard), guard);
  }),
  everything,
);

/** A master that is lost under load, and what follows. */
async function anotherMaster(fleet: Fleet): Promise<void> {
  for (const { standIn } of fleet.posts) standIn.behaviour.tokenMs = 20;
  const asked = askAll(fleet.gateway, WAYS, { stream: true, tokens: 60 });
  await until("tokens", () => asked.every((one) => one.tokens > 2));
  await fleet.redis.kill();
  await allDone(asked);
  for (const one of asked) assertDefinite(one);
  await until(
    "a ready gateway",
    async () => (await fetch(`${fleet.gateway.url}/readyz?strict`)).status === 200,
  );
  await everything(fleet);
}

if (findProgram(["openssl"]) === undefined) {
  process.stdout.write("no journey with sentinels over TLS: there is no openssl on PATH\n");
} else {
  journey(
    "a master with Sentinel, all over TLS and under users with least rights: everything works, with another master too",
    guardedBy(async (dir) => {
      const { guard, settings } = withTls(withUsers(dir), join(dir, "tls"));
      return fleetUnder(await SentinelTrio.start(dir, guard), guard, settings);
    }),
    anotherMaster,
  );
}
