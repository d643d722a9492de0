import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { allDone, askAll, Asked, assertAnswered, assertRefused, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import type { FleetRedis } from "../rig/redis/fleet-redis.ts";
import { until } from "../rig/until.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";

/** States in which Redis answers but takes no writes. Each has a way in, and an operator's way out. */
interface Refusal {
  /** Redis's word for it. */
  readonly code: string;
  readonly begin: (fleet: Fleet) => Promise<void>;
  readonly end: (fleet: Fleet) => Promise<void>;
  readonly redis?: (dir: string) => Promise<FleetRedis>;
}

async function set(fleet: Fleet, name: string, value: string): Promise<void> {
  await fleet.probe.command("CONFIG", "SET", name, value);
}

/** A Redis that saves snapshots into a folder that is gone: it cannot write its disk. */
async function diskless(dir: string): Promise<FleetRedis> {
  const server = await RedisServer.start({ dir, args: ["--save", "3600 1"] });
  rmSync(dir, { recursive: true });
  return server;
}

async function saveInVain({ probe }: Fleet): Promise<void> {
  await probe.command("BGSAVE");
  await until("a failed snapshot", async () => {
    return String(await probe.command("INFO", "persistence")).includes("rdb_last_bgsave_status:err");
  });
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  "is out of memory": {
    code: "OOM",
    begin: (fleet) => set(fleet, "maxmemory", "1"),
    end: (fleet) => set(fleet, "maxmemory", "0"),
  },
  "cannot write its disk": {
    code: "MISCONF",
    redis: diskless,
    begin: saveInVain,
    end: (fleet) => set(fleet, "stop-writes-on-bgsave-error", "no"),
  },
  "has become a read-only replica": {
    code: "READONLY",
    begin: async ({ probe }) => void (await probe.command("REPLICAOF", "127.0.0.1", "1")),
    end: async ({ probe }) => void (await probe.command("REPLICAOF", "NO", "ONE")),
  },
  "has too few replicas": {
    code: "NOREPLICAS",
    begin: (fleet) => set(fleet, "min-replicas-to-write", "1"),
    end: (fleet) => set(fleet, "min-replicas-to-write", "0"),
  },
};

/** In both dialects, with the reason and when to try again. */
async function assertTurnedAway(fleet: Fleet, code: string): Promise<void> {
  for (const path of ["/api/chat", "/v1/chat/completions", "/v1/messages"]) {
    const messages = [{ role: "user", content: "hello" }];
    const body = JSON.stringify({ model: "tiny", messages, max_tokens: 5 });
    const response = await fetch(fleet.gateway.url + path, { method: "POST", body });
    assert.match(await response.text(), new RegExp(`Redis refuses commands now \\(${code}\\)`));
    assert.equal(response.status, 503);
    assert.match(response.headers.get("retry-after") ?? "", /^\d+$/);
  }
  const asked = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 5 });
  await asked.done;
  assertRefused(asked, 503);
}

for (const [what, { code, begin, end, redis }] of Object.entries(REFUSALS)) {
  const plan = { posts: [{ slots: 8 }], ...(redis === undefined ? {} : { redis }) };
  journey(`while Redis ${what} new requests are refused and open ones wait`, plan, async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.tokenMs = 50;
    const streams = askAll(fleet.gateway, WAYS, { stream: true, tokens: 400 });
    const whole = askAll(fleet.gateway, WAYS, { stream: false, tokens: 400 });
    await until("tokens", () => streams.every((one) => one.tokens > 2));
    await begin(fleet);
    await assertTurnedAway(fleet, code);
    standIn.behaviour.tokenMs = 1;
    await until("backends that are done", () => standIn.running === 0);
    assert.ok([...streams, ...whole].every((one) => !one.over));
    await end(fleet);
    await allDone([...streams, ...whole]);
    for (const one of [...streams, ...whole]) assertAnswered(one);
    assert.equal(standIn.requests.length, streams.length + whole.length, "no task ran twice");
    const again = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 });
    await allDone(again);
    for (const one of again) assertAnswered(one);
  });
}
