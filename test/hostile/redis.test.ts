import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type Connection, unlessMistyped } from "../../src/redis/connection/connection.ts";
import type { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";
import { encodeFrame } from "../../src/wire/frame-codec.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { effort, LIMIT_MS } from "./effort.ts";
import { twisted } from "./json.ts";
import { msgpack, mutated } from "./msgpack.ts";
import { whileHarmed } from "./watch.ts";
import { aTask } from "../rig/task.ts";

const QUEUE = "tiny";

/** Puts something hostile into Redis. */
type Harm = (redis: Connection, keys: Keys, tag: string) => Promise<unknown>;

const task = (id: string): Buffer => {
  return encodeTask(
    aTask({
      id,
      endpoint: "ollama-chat",
      createdAt: 1,
      deadline: 4e12,
      body: Buffer.from('{"model":"tiny","messages":[]}'),
    }),
    true,
  );
};
const frame = encodeFrame({ task: "x.1", attempt: 7, seq: 1, bytes: Buffer.from("bytes"), end: {} });

const announcement = {
  id: "evil",
  version: "9",
  host: "h",
  pid: 1,
  startedAt: 1,
  seenAt: 1,
  draining: false,
  backends: [
    {
      name: "b",
      kind: "ollama",
      url: "http://127.0.0.1:1",
      slots: 1,
      busy: 0,
      healthy: true,
      models: [
        { key: "evil", name: "evil", modifiedAt: 1, size: 1, capabilities: ["x"], load: { expiresAt: 1 } },
      ],
      gates: [{ model: "evil", state: "open" }],
    },
  ],
};
const summary = {
  task: "t",
  request: "r",
  endpoint: "e",
  model: "m",
  at: 1,
  code: "ok",
  status: 200,
  totalMs: 1,
};

const payload = fc.oneof(msgpack, mutated(task("x.1")));
const queued = payload.map((bytes): Harm => async (redis, keys) => {
  await redis.command("XADD", keys.queue(QUEUE), "*", "t", bytes);
  await redis.command("RPUSH", keys.doorbell(QUEUE), "1");
});
const misnamed = fc.constantFrom("", "x", "T").map((name): Harm => (redis, keys) => {
  return redis.command("XADD", keys.queue(QUEUE), "*", name, "");
});
const published = fc.oneof(msgpack, mutated(frame)).map((bytes): Harm => (redis, keys, tag) => {
  return redis.command("PUBLISH", keys.channel(tag), bytes);
});
const announced = twisted(announcement).map((text): Harm => async (redis, keys) => {
  await redis.command("SET", keys.worker("evil"), text, "PX", "3000");
  await redis.command("ZADD", keys.workers(), "1", "evil");
  await redis.command("PUBLISH", keys.fleet(), text.slice(0, 100));
});
const greeted = twisted({ ...announcement, tag: "evil", port: 1, open: 1 }).map(
  (text): Harm =>
    async (redis, keys) => {
      await redis.command("SET", keys.gateway("evil"), text, "PX", "3000");
      await redis.command("ZADD", keys.gateways(), "1", "evil");
    },
);
const told = fc
  .tuple(
    fc.constantFrom("cancel", "pause", "resume", "sweep", "drain", "__proto__", "constructor", "", " "),
    fc.oneof(fc.constantFrom("", " ", "__proto__", "x.1", QUEUE, "y".repeat(100_000)), fc.string()),
  )
  .map(
    ([verb, text]): Harm =>
      (redis, keys) =>
        redis.command("PUBLISH", keys.controlAll(), `${verb} ${text}`),
  );
const histogram = {
  name: "sgnet_evil_seconds",
  help: "h",
  type: "histogram",
  values: [
    { value: 1, labels: { le: 0.5, model: "m" }, metricName: "sgnet_evil_seconds_bucket" },
    { value: 1, labels: { model: "m" }, metricName: "sgnet_evil_seconds_sum" },
  ],
};
const counter = { name: "sgnet_evil_total", help: "h", type: "counter", values: [{ value: 1, labels: {} }] };
const report = fc.oneof(
  twisted([counter, histogram]),
  twisted([histogram]),
  // Another process reports it, too.
  twisted([{ ...counter, name: "sgnet_worker_up" }]),
  fc.constantFrom(
    '[{"name":"sgnet_evil_total","help":"a\\nb{} 1","type":"gauge","values":[]}]',
    "[]",
    "",
    "\0",
  ),
);
const reported = report.map((text): Harm => async (redis, keys) => {
  await redis.command("SET", keys.worker("evil"), JSON.stringify(announcement), "PX", "3000");
  await redis.command("ZADD", keys.workers(), "1", "evil");
  await redis.command("SET", keys.workerMetrics("evil"), text, "PX", "3000");
});
const whispered = fc
  .tuple(
    fc.constantFrom("cancel ", "pause ", "resume ", "sweep ", "drain ", "undrain ", "", "cancel", " "),
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      msgpack,
    ),
  )
  .map(([verb, bytes]): Harm => async (redis, keys) => {
    const [worker] = await openStores(redis, keys).registry.listWorkers();
    await redis.command("PUBLISH", keys.control(worker?.id ?? ""), Buffer.concat([Buffer.from(verb), bytes]));
  });
/** Gives keys that no request needs another type, until they expire or are sound again. */
const retyped = fc
  .constantFrom<(keys: Keys) => string>(
    (keys) => keys.worker("evil"),
    (keys) => keys.workerMetrics("evil"),
    (keys) => keys.gateway("evil"),
    (keys) => keys.log(),
    (keys) => keys.dead("evil"),
  )
  .chain((keyOf) =>
    fc.constantFrom("SET", "RPUSH", "SADD").map((verb): Harm => async (redis, keys) => {
      await redis.command("ZADD", keys.workers(), "1", "evil");
      await redis.command("ZADD", keys.gateways(), "1", "evil");
      await redis.command("ZADD", keys.deads(), "1", "evil");
      await redis.command("UNLINK", keyOf(keys));
      await redis.command(verb, keyOf(keys), "odd");
      await redis.command("PEXPIRE", keyOf(keys), "3000");
    }),
  );
const logged = twisted(summary).map(
  (text): Harm =>
    (redis, keys) =>
      redis.command("XADD", keys.log(), "*", "s", text),
);
const buried = payload.map((bytes): Harm => async (redis, keys) => {
  await redis.command("XADD", keys.dead("evil"), "*", "t", bytes, "code", "\0", "deliveries", "NaN");
  await redis.command("ZADD", keys.deads(), "1", "evil");
});
const remembered = fc
  .constantFrom("__proto__", "", "{}", "\0", "m".repeat(10_000))
  .map((name): Harm => (redis, keys) => {
    return redis.command("ZADD", keys.models(), String(Date.now()), name);
  });
const rung = fc.constantFrom("", "\0", "9".repeat(1000)).map((token): Harm => (redis, keys) => {
  return redis.command("RPUSH", keys.doorbell(QUEUE), token);
});
const harms = fc.oneof(
  queued,
  queued,
  misnamed,
  published,
  announced,
  greeted,
  told,
  reported,
  whispered,
  retyped,
  logged,
  buried,
  remembered,
  rung,
);

/** Prometheus' text format: a comment, a sample or nothing. */
const METRIC_LINE = /^(?:# .*|[a-zA-Z_]\w*(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)*\})? \S+)?$/;

async function tagOf(fleet: Fleet): Promise<string> {
  const [gateway] = await openStores(fleet.probe, fleet.keys).registry.listGateways();
  assert.ok(gateway);
  return gateway.tag;
}

journey(
  "anything in Redis: who reads it lives, and serves others meanwhile",
  { limitMs: LIMIT_MS },
  async (fleet, t) => {
    const { probe, keys, gateway } = fleet;
    const tag = await tagOf(fleet);
    const look = fc.asyncProperty(harms, async (harm) => {
      // An earlier harm may have left a key of another type there.
      await unlessMistyped(harm(probe, keys, tag));
    });
    const harm = async (): Promise<void> => {
      await fc.assert(look, effort(t, 300));
      for (const path of ["/api/tags", "/v1/models", "/api/ps", "/metrics", "/metrics/fleet"]) {
        const response = await fetch(gateway.url + path);
        const text = await response.text();
        assert.equal(response.status, 200, `${path} ${text}`);
        if (path.startsWith("/metrics")) for (const line of text.split("\n")) assert.match(line, METRIC_LINE);
      }
    };
    const programs = [gateway, fleet.post().worker];
    t.diagnostic(await whileHarmed(gateway, { programs, mostMiB: 150, harm }));
  },
);

function ask(gateway: Program, model: string): Promise<Response> {
  const body = JSON.stringify({ model, stream: false, messages: [] });
  return fetch(`${gateway.url}/api/chat`, { method: "POST", body });
}

const TWO = { posts: [{ models: ["tiny:latest", "other:latest"] }] };

journey("a queue that is no stream keeps no other queue from its workers", TWO, async (fleet, t) => {
  const { probe, keys, gateway } = fleet;
  const harm = async (): Promise<void> => {
    await probe.command("UNLINK", keys.queue("other"));
    await probe.command("SET", keys.queue("other"), "no stream");
    const refused = await ask(gateway, "other");
    assert.ok(refused.status >= 500, await refused.text());
    for (let count = 0; count < 3; count += 1) {
      const answered = await ask(gateway, "tiny");
      assert.equal(answered.status, 200, await answered.text());
    }
    await probe.command("UNLINK", keys.queue("other"));
    const mended = await ask(gateway, "other");
    assert.equal(mended.status, 200, await mended.text());
  };
  const programs = [gateway, fleet.post().worker];
  t.diagnostic(await whileHarmed(gateway, { programs, mostMiB: 150, harm }));
});
