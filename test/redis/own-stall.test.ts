import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { openMember, openOne } from "../../src/redis/connection/open-node.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

/** This very process, for longer than a connection may be silent. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("a process that stood still", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => {
    await rig.close();
  });

  it("does not take its own silence for that of Redis, and keeps its connections", async () => {
    const { hostname: host, port } = new URL(rig.server.url);
    const address = { host, port: Number(port) };
    const one = await openOne(rig.server.url, "one", {});
    const member = await openMember({ address, tls: false, access: {}, name: "member" });
    const listener = await openOne(rig.server.url, "listener", {});
    const heard: string[] = [];
    await listener.subscribe("news", (message) => heard.push(message.toString()));
    const downs: unknown[] = [];
    for (const connection of [one, member, listener]) connection.onDown((error) => downs.push(error));
    // A message that comes meanwhile is not lost.
    const published = one.command("PUBLISH", "news", "before");
    await published;
    standStill(6000);
    await delay(1);
    assert.equal(String(await one.command("PING")), "PONG");
    assert.equal(String(await member.command("PING")), "PONG");
    await one.command("PUBLISH", "news", "after");
    while (heard.length < 2) await delay(5);
    assert.deepEqual(heard, ["before", "after"]);
    assert.deepEqual(downs, []);
    for (const connection of [one, member, listener]) connection.close();
  });
});
