import assert from "node:assert/strict";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { asText } from "../../src/redis/connection/resp.ts";
import { runCommand } from "../rig/command.ts";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { SentinelTrio } from "../rig/redis/sentinel-trio.ts";
import { standInVector, unitVector } from "../rig/backends/stand-in.ts";
import { allDone, askAll, Asked, assertAnswered, assertDefinite, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, type FleetPlan, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Models whose queues are on different nodes of a cluster. */
const MODELS = [MODEL, "one:7b", "two:7b", "three:7b"];

const LONG = 150;

function planWith(redis: NonNullable<FleetPlan["redis"]>): FleetPlan {
  const post = {
    models: MODELS.map((model) => (model.includes(":") ? model : `${model}:latest`)),
    slots: 12,
  };
  return { redis, gateways: 2, posts: [post, post] };
}

async function everyWay(fleet: Fleet, model: string): Promise<void> {
  const asked = fleet.gateways.flatMap((gateway) => [
    ...askAll(gateway, WAYS, { stream: true, tokens: 20, model }),
    ...askAll(gateway, WAYS, { stream: false, tokens: 20, model }),
  ]);
  await allDone(asked);
  for (const one of asked) assertAnswered(one);
}

async function otherRequests(fleet: Fleet): Promise<void> {
  const { url } = fleet.gateway;
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const { data } = await openai.embeddings.create({ model: MODEL, input: "hello", encoding_format: "float" });
  const expected = unitVector(standInVector("hello"));
  assert.equal(data[0]?.embedding.length, expected.length);
  // A body too large for the queue travels under a key of its own.
  const large = new Asked(fleet.gateway, {
    way: "ollama-chat",
    stream: true,
    tokens: 10,
    prompt: "x".repeat(200_000),
  });
  await large.done;
  assertAnswered(large);
  // A management request gets the stand-in's own answer.
  await assert.rejects(new Ollama({ host: url }).show({ model: MODEL }), /404/);
  const pages = await Promise.all(
    ["/metrics/fleet", "/readyz", "/v1/models"].map(async (path) => (await fetch(url + path)).status),
  );
  assert.deepEqual(pages, [200, 200, 200]);
}

/** Commands that only read find the way, too. */
async function seenByPeople(fleet: Fleet): Promise<void> {
  const body = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hello" }] });
  const headers = { "content-type": "application/json", "x-request-id": "told" };
  const url = `${fleet.gateway.url}/v1/chat/completions`;
  await (await fetch(url, { method: "POST", headers, body })).text();
  const run = async (...args: string[]): ReturnType<typeof runCommand> =>
    runCommand(args, { cwd: import.meta.dirname, env: { REDIS_URL: fleet.redisUrl, PORT: "0" } });
  const [status, top, dead, doctor, story] = await Promise.all([
    run("status"),
    run("top"),
    run("dead"),
    run("doctor"),
    until("its story", async () => {
      const trace = await run("trace", "told");
      return trace.code === 0 ? trace : undefined;
    }),
  ]);
  assert.match(status.stdout, /^ {2}three:7b +2 +24 +0 +0 +0$/m, status.stderr);
  assert.match(top.stdout, /three:7b/, top.stderr);
  assert.equal(dead.code, 0, dead.stderr);
  assert.match(doctor.stdout, /^ok {3}redis +Redis \d|^ok {3}redis +Valkey \d/m, doctor.stderr);
  assert.match(story.stdout, /^Request told/, story.stderr);
}

async function leaveBoth(fleet: Fleet): Promise<void> {
  for (const { standIn } of fleet.posts) Object.assign(standIn.behaviour, { tokenMs: 20 });
  const leaving = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5000 });
  await until("tokens", () => leaving.every((one) => one.tokens > 2));
  for (const one of leaving) one.leave();
  await allDone(leaving);
  await until("backends that have stopped", () => fleet.posts.every(({ standIn }) => standIn.running === 0));
}

/** More than there are slots, in all ways, for all models and by both gateways. */
function load(fleet: Fleet): Asked[] {
  for (const { standIn } of fleet.posts) Object.assign(standIn.behaviour, { tokenMs: 25 });
  const places = fleet.gateways.flatMap((gateway) => MODELS.map((model) => ({ gateway, model })));
  const whole = WAYS.slice(0, 2);
  return places.flatMap(({ gateway, model }) =>
    askAll(gateway, WAYS, { stream: true, tokens: LONG, model }).concat(
      askAll(gateway, whole, { stream: false, tokens: LONG, model }),
    ),
  );
}

/** Resolves when every gateway takes requests for every model again. */
async function served(fleet: Fleet): Promise<void> {
  for (const { standIn } of fleet.posts) Object.assign(standIn.behaviour, { tokenMs: 0 });
  for (const gateway of fleet.gateways) {
    await until("a ready gateway", async () => (await fetch(`${gateway.url}/readyz?strict`)).status === 200);
  }
  for (const model of MODELS) await everyWay(fleet, model);
}

/** A key beside the replies of a gateway. */
async function replyKey(fleet: Fleet): Promise<string> {
  const found = await fleet.probe.everywhere("KEYS", "sgnet:gw:*");
  const [key = ""] = found.flatMap((list) => (list as unknown[]).map(asText));
  return fleet.keys.channel(key.replace("sgnet:gw:", ""));
}

async function everythingWorks(fleet: Fleet): Promise<void> {
  for (const model of MODELS) await fleet.known(model);
  for (const model of MODELS) await everyWay(fleet, model);
  await otherRequests(fleet);
  await leaveBoth(fleet);
  await fleet.settled();
}

async function killUnderLoad(fleet: Fleet, kill: () => Promise<void>): Promise<number> {
  for (const model of MODELS) await fleet.known(model);
  const asked = load(fleet);
  await until("tokens", () => asked.some((one) => one.tokens > 5));
  await kill();
  await allDone(asked);
  for (const one of asked) assertDefinite(one);
  await served(fleet);
  await fleet.settled();
  return asked.filter((one) => one.error === undefined).length;
}

let cluster: RedisCluster;
const clusterPlan = planWith(async (dir) => (cluster = await RedisCluster.start(dir)));

journey("a Redis Cluster", clusterPlan, async (fleet, t) => {
  await t.test("with a Redis Cluster everything works", () => everythingWorks(fleet));
  await t.test("a master of a cluster is killed under load", async (inner) => {
    const key = await replyKey(fleet);
    const answered = await killUnderLoad(fleet, () => cluster.kill(key));
    await seenByPeople(fleet);
    inner.diagnostic(`${answered} of 40 requests were answered`);
  });
});

let trio: SentinelTrio;
const sentinelPlan = planWith(async (dir) => (trio = await SentinelTrio.start(dir)));

journey("a master with Sentinel", sentinelPlan, async (fleet, t) => {
  await t.test("with a master with Sentinel everything works", () => everythingWorks(fleet));
  await t.test("the master that Sentinel watches is killed under load", async (inner) => {
    const answered = await killUnderLoad(fleet, () => trio.kill());
    inner.diagnostic(`${answered} of 40 requests were answered`);
  });
});
