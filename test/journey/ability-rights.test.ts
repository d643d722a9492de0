import assert from "node:assert/strict";
import { asArray, asText } from "../../src/redis/connection/resp.ts";
import { formBody } from "../rig/multipart.ts";
import { guardedRedis } from "../rig/redis/shipped-users.ts";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { fleetUnder, withUsers } from "../rig/redis/guard.ts";
import { sendBytes, sendJson, SurfaceServer } from "../rig/backends/surface-server.ts";
import { FILE, HEARD, send, TRANSCRIPTIONS } from "./form-fleet.ts";
import { type Fleet, type FleetPlan, journey } from "../rig/fleet/fleet.ts";

/** Ability queues where Redis has users with least rights, and where it is a cluster. */

const JSON_TYPE = "application/json";
const SPEECH = "/v1/audio/speech";
const SOUND = Buffer.alloc(3_000_000, "\0\u00ff");
/** Two models, so that claims read the queues of both, and two ability queues of each. */
const MODELS = ["openai/Whisper-1", "bge"];
const PATHS = {
  [TRANSCRIPTIONS]: HEARD,
  [SPEECH]: sendBytes(200, "audio/wav", SOUND),
  "/v1/rerank": sendJson(200, { results: [] }),
};

async function refusals({ probe }: Fleet): Promise<string[]> {
  const logs = await probe.everywhere("ACL", "LOG");
  return logs.flatMap((log) => asArray(log).map((entry) => asArray(entry).map(asText).join(" ")));
}

async function asksAll(fleet: Fleet): Promise<void> {
  const asks = MODELS.flatMap((model) => {
    const rank = JSON.stringify({ model, query: "a", documents: ["b"] });
    const form = formBody("b", [
      { ...FILE, value: Buffer.alloc(300_000) },
      { name: "model", value: model },
    ]);
    return [
      send(fleet, { path: "/v1/rerank", type: JSON_TYPE, body: rank }),
      send(fleet, { body: form }),
      send(fleet, { path: SPEECH, type: JSON_TYPE, body: JSON.stringify({ model, input: "a" }) }),
    ];
  });
  for (const reply of await Promise.all(asks)) {
    const told = Buffer.from(await reply.arrayBuffer());
    assert.equal(reply.status, 200, told.toString().slice(0, 300));
    if (reply.headers.get("content-type") === "audio/wav") assert.ok(told.equals(SOUND));
  }
}

function settingsFor({ url }: SurfaceServer): Record<string, string> {
  return { SGNET_BACKENDS: `openai+${url}`, SGNET_SLOTS: "2" };
}

async function everything(fleet: Fleet): Promise<void> {
  const server = await SurfaceServer.start({ models: MODELS, paths: PATHS });
  try {
    const lacking = await SurfaceServer.start({ models: MODELS, paths: {} });
    try {
      const able = await fleet.addBareWorker(settingsFor(server));
      await fleet.addBareWorker(settingsFor(lacking));
      await fleet.workers(2);
      for (let n = 0; n < 3; n += 1) await asksAll(fleet);
      await able.kill();
      // Queued while its only reader is away, and taken over by the next one.
      const waits = asksAll(fleet);
      await fleet.addBareWorker(settingsFor(server));
      await waits;
      assert.equal(lacking.seen.length, 0);
      assert.deepEqual(await refusals(fleet), []);
    } finally {
      await lacking.stop();
    }
  } finally {
    await server.stop();
  }
}

const TOPOLOGIES: Readonly<Record<string, FleetPlan>> = {
  "under users with least rights": { posts: [], redis: async (dir) => guardedRedis(dir) },
  "under users with least rights, in a Redis Cluster": {
    posts: [],
    redis: async (dir) => {
      const guard = withUsers(dir);
      return fleetUnder(await RedisCluster.start(dir, guard), guard);
    },
  },
};

for (const [where, plan] of Object.entries(TOPOLOGIES))
  journey(`ability queues work ${where}`, plan, everything);
