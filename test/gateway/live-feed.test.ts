import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemAmbient } from "../../src/core/ambient.ts";
import type { Exchange } from "../../src/gateway/requests/exchange.ts";
import { LiveFeed } from "../../src/gateway/monitor/live-feed.ts";
import type { Snapshot } from "../../src/gateway/monitor/live-feed.ts";
import { TokenMeter } from "../../src/gateway/monitor/token-meter.ts";
import type { HttpRequest } from "../../src/gateway/http/http.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { until } from "../rig/until.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { SummaryLog } from "../../src/redis/inspect/summary-log.ts";
import { exchangeOf } from "./exchange-rig.ts";
import { FakeReply } from "./fake-reply.ts";
import { openInspection } from "../../src/redis/inspect/inspection.ts";

let rig: RedisRig;

before(async () => {
  rig = await openRedisRig();
});
after(async () => {
  await rig.close();
});

const REQUEST = { path: "/ui/events", headers: { requestId: "" } } as HttpRequest;

/** Live pages of a gateway without requests; `looks` counts commands to Redis. */
class Watched {
  looks = 0;
  readonly live: LiveFeed;

  constructor(connection: Connection = rig.connection, exchanges: readonly Exchange[] = []) {
    const counting: Connection = Object.create(connection, {
      command: {
        value: async (...args: Parameters<Connection["command"]>) => {
          this.looks += 1;
          return connection.command(...args);
        },
      },
    });
    this.live = new LiveFeed({
      inspection: openInspection(counting, rig.keys),
      gateway: { tag: "g1", version: "1.2.3" },
      meter: new TokenMeter(),
      memoryMs: 1000,
      ambient: systemAmbient,
      exchanges: () => exchanges,
      unready: () => undefined,
    });
  }

  watch(): FakeReply {
    const reply = new FakeReply();
    this.live.watch(REQUEST, reply);
    return reply;
  }
}

function snapshots(reply: FakeReply): Snapshot[] {
  const events = reply.text.split("\n\n").filter((event) => event.startsWith("data: "));
  return events.map((event) => JSON.parse(event.slice("data: ".length)) as Snapshot);
}

async function seen(reply: FakeReply, count: number): Promise<Snapshot[]> {
  return until(`${count} snapshots`, () => {
    const found = snapshots(reply);
    return found.length >= count ? found : undefined;
  });
}

describe("live pages", () => {
  it("show the oldest of many requests, in whatever order they are kept", async () => {
    const exchanges = Array.from({ length: 60 }, (_none, index) => exchangeOf(`g1.${index}`).exchange);
    const watched = new Watched(rig.connection, exchanges.toReversed());
    const [first] = await seen(watched.watch(), 1);
    watched.live.stop();
    assert.equal(first?.requests.open, 60);
    assert.deepEqual(
      first?.requests.oldest.map(({ task }) => task),
      exchanges.slice(0, 50).map(({ task }) => task.id),
    );
  });

  it("get a snapshot at once, then one a second, and faults as they come", async () => {
    const watched = new Watched();
    const reply = watched.watch();
    const [first] = await seen(reply, 1);
    assert.equal(first?.gateway.tag, "g1");
    assert.deepEqual(first?.faults.latest, []);
    const fault = { task: "g1.1", request: "r", endpoint: "openai-chat", model: "tiny", at: Date.now() };
    await new SummaryLog(rig.connection, rig.keys).append([
      { ...fault, code: "ok", status: 200, totalMs: 1 },
      { ...fault, code: "backend_lost", status: 502, totalMs: 1 },
      { ...fault, code: "cancelled", status: 499, totalMs: 1 },
    ]);
    const second = (await seen(reply, 2)).at(-1);
    assert.deepEqual(second?.faults.counts, [["backend_lost", 1]]);
    watched.live.stop();
    assert.equal(reply.state, "ended");
  });

  it("cost nothing while no page is open", async () => {
    const watched = new Watched();
    const reply = watched.watch();
    await seen(reply, 1);
    reply.leave();
    const { looks } = watched;
    const other = new Watched();
    await seen(other.watch(), 3);
    assert.equal(watched.looks, looks);
    other.live.stop();
  });

  it("share one look", async () => {
    const watched = new Watched();
    const replies = Array.from({ length: 5 }, () => watched.watch());
    const many = (await Promise.all(replies.map((reply) => seen(reply, 2)))).map((list) => list.at(1)?.at);
    watched.live.stop();
    assert.equal(new Set(many).size, 1);
  });

  it("are bounded in number", async () => {
    const watched = new Watched();
    const replies = Array.from({ length: 40 }, () => watched.watch());
    assert.equal(replies.filter(({ status }) => status === 200).length, 32);
    assert.equal(replies.at(-1)?.status, 503);
    replies[0]?.leave();
    assert.equal(watched.watch().status, 200);
    watched.live.stop();
  });

  it("that cannot keep up miss snapshots", async () => {
    const watched = new Watched();
    const slow = watched.watch();
    slow.full = true;
    const quick = watched.watch();
    await seen(quick, 3);
    assert.equal(snapshots(slow).length, 1);
    slow.drain();
    await seen(slow, 2);
    watched.live.stop();
  });

  it("keep the last view when Redis is away", async () => {
    const connection = await rig.connect();
    const watched = new Watched(connection);
    const reply = watched.watch();
    await seen(reply, 1);
    connection.close();
    const later = await seen(reply, snapshots(reply).length + 2);
    assert.ok(later.at(-1)?.fleet !== undefined);
    watched.live.stop();
  });
});
