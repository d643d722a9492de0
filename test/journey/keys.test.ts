import assert from "node:assert/strict";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { openStores } from "../../src/redis/stores.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { until } from "../rig/until.ts";

/** Time in which a gateway learns of a change without any message, ms. */
const REFUSED_WITHIN_MS = 4000;

async function statusOf(gateway: Program, path: string, secret?: string): Promise<number> {
  const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  const reply = await fetch(`${gateway.url}${path}`, { headers });
  await reply.body?.cancel();
  return reply.status;
}

async function ask(gateway: Program, model: string, secret: string): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
  });
}

/** Administers keys as a command does. With `silent` no gateway gets a message of it. */
function adminOf(fleet: Fleet, silent = false): KeyAdministration {
  const { probe, keys } = fleet;
  const connection: Connection = silent ? mute(probe) : probe;
  return new KeyAdministration(openStores(connection, keys).access, Date.now);
}

/** The same connection, whose messages go nowhere. */
function mute(connection: Connection): Connection {
  return new Proxy(connection, {
    get(target, name): unknown {
      if (name === "command") {
        return async (command: string, ...args: string[]): Promise<unknown> =>
          command === "PUBLISH" ? 0 : target.command(command, ...args);
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Resolves with the time until every gateway answers so, ms. */
async function untilAll(fleet: Fleet, status: number, secret?: string): Promise<number> {
  const begun = performance.now();
  await until(`status ${status}`, async () => {
    const all = await Promise.all(fleet.gateways.map((one) => statusOf(one, "/v1/models", secret)));
    return all.every((one) => one === status);
  });
  return performance.now() - begun;
}

/** All gateways serve everyone again, as they were started. */
async function opened(fleet: Fleet, admin: KeyAdministration): Promise<void> {
  for (const { key } of await admin.keys()) await admin.revoke(key.id);
  assert.equal(await statusOf(fleet.gateway, "/v1/models"), 401, "the last revoked key opens no door");
  await admin.allowAnonymous();
  await untilAll(fleet, 200);
}

/** The first key closes every gateway, its end is known, and neither needs a message. */
async function closeAndRevoke(fleet: Fleet): Promise<void> {
  const silent = adminOf(fleet, true);
  await untilAll(fleet, 200);
  const { secret } = await silent.create({ name: "alice" });
  const closedMs = await untilAll(fleet, 401);
  assert.ok(closedMs < REFUSED_WITHIN_MS, `closed after ${closedMs} ms`);
  await untilAll(fleet, 200, secret);
  const answer = await ask(fleet.gateway, MODEL, secret);
  assert.equal(answer.status, 200, await answer.text());
  await silent.revoke("alice");
  const revokedMs = await untilAll(fleet, 401, secret);
  assert.ok(revokedMs < REFUSED_WITHIN_MS, `refused after ${revokedMs} ms`);
  const refused = await ask(fleet.gateway, MODEL, secret);
  assert.equal(refused.status, 401);
  await refused.body?.cancel();
  await opened(fleet, adminOf(fleet));
}

journey(
  "a key is known and refused by every gateway within 4 s, without any message",
  { gateways: 2 },
  closeAndRevoke,
);

journey(
  "keys work on a Redis Cluster",
  { gateways: 2, redis: (dir) => RedisCluster.start(dir) },
  closeAndRevoke,
);

journey("an emptied Redis opens no gateway, and gets the keys back", { gateways: 2 }, async (fleet) => {
  const admin = adminOf(fleet);
  const { secret, version } = await admin.create({ name: "alice" });
  await untilAll(fleet, 401);
  await untilAll(fleet, 200, secret);
  await fleet.redis.kill();
  await fleet.redis.startAgain({ empty: true });
  await until(
    "the key in Redis",
    async () => (await admin.key("alice").catch(() => undefined))?.version === version,
  );
  await untilAll(fleet, 401);
  await untilAll(fleet, 200, secret);
  const late = await fleet.addGateway();
  assert.equal(await statusOf(late, "/v1/models"), 401);
  assert.equal(await statusOf(late, "/v1/models", secret), 200);
  await opened(fleet, admin);
});

journey("a key sees the models that it may use, and no others", {}, async (fleet) => {
  const admin = adminOf(fleet);
  const other = await admin.create({ name: "other", models: ["big*"] });
  const { secret } = await admin.create({ name: "alice", models: [MODEL] });
  await untilAll(fleet, 401);
  await untilAll(fleet, 200, secret);
  await untilAll(fleet, 200, other.secret);
  const { url } = fleet.gateway;
  const read = async (path: string, key: string, body?: object): Promise<[number, string]> => {
    const method = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const reply = await fetch(url + path, { headers: { authorization: `Bearer ${key}` }, ...method });
    return [reply.status, await reply.text()];
  };
  for (const path of ["/v1/models", "/api/tags", "/api/ps"]) {
    const [status, text] = await read(path, other.secret);
    assert.equal(status, 200);
    assert.equal(text.includes(MODEL), false, path);
  }
  assert.match((await read("/v1/models", secret))[1], new RegExp(MODEL));
  assert.match((await read("/api/tags", secret))[1], new RegExp(MODEL));
  const requests = [
    [`/v1/models/${MODEL}`, `/v1/models/none`, undefined],
    ["/api/show", "/api/show", { model: MODEL }],
    ["/api/chat", "/api/chat", { model: MODEL, messages: [] }],
    [
      "/v1/chat/completions",
      "/v1/chat/completions",
      { model: MODEL, messages: [{ role: "user", content: "x" }] },
    ],
    ["/v1/rerank", "/v1/rerank", { model: MODEL, query: "a", documents: ["b"] }],
  ] as const;
  for (const [path, unknown, body] of requests) {
    const refused = await read(path, other.secret, body);
    const missing = await read(unknown, other.secret, body === undefined ? body : { ...body, model: "none" });
    assert.deepEqual([refused[0], refused[1].replaceAll(MODEL, "none")], missing, path);
    assert.equal(refused[0], 404, path);
  }
  await opened(fleet, admin);
});
