import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readClusterMap, readRedirection } from "../../src/redis/connection/cluster-map.ts";
import { parseRedisUrl, shownAddress } from "../../src/redis/connection/redis-url.ts";
import { hashTag, keyOf, SLOTS, slotOf } from "../../src/redis/connection/slots.ts";

describe("a Redis URL", () => {
  it("of one server is left to the client library", () => {
    for (const url of ["redis://u:p@h:1/2", "rediss://h", "unix:///tmp/redis.sock"])
      assert.deepEqual(parseRedisUrl(url), { kind: "one", url });
  });

  it("of a cluster names some of its nodes", () => {
    assert.deepEqual(parseRedisUrl("redis+cluster://us%40r:p%2Fw@h1:7000,h2,[::1]:7002"), {
      kind: "cluster",
      addresses: [
        { host: "h1", port: 7000 },
        { host: "h2", port: 6379 },
        { host: "::1", port: 7002 },
      ],
      tls: false,
      login: { username: "us@r", password: "p/w" },
    });
  });

  it("of Sentinel names the master, its database, and the sentinels' own password", () => {
    assert.deepEqual(parseRedisUrl("rediss+sentinel://:a%zz@h1,h2:2/mymaster/3?username=w&password=p=q"), {
      kind: "sentinel",
      addresses: [
        { host: "h1", port: 26_379 },
        { host: "h2", port: 2 },
      ],
      master: "mymaster",
      database: 3,
      tls: true,
      login: { password: "a%zz" },
      sentinelLogin: { username: "w", password: "p=q" },
    });
  });

  it("is shown with brackets around IPv6", () => {
    assert.equal(shownAddress({ host: "::1", port: 1 }), "[::1]:1");
    assert.equal(shownAddress({ host: "h", port: 1 }), "h:1");
  });
});

describe("slots", () => {
  it("are those of the specification's examples", () => {
    assert.equal(slotOf("123456789"), 0x31_c3);
    assert.equal(slotOf("{user1000}.following"), slotOf("{user1000}.followers"));
    assert.equal(slotOf("foo{}{bar}"), slotOf("foo{}{bar}"));
    assert.notEqual(slotOf("foo{}{bar}"), slotOf("bar"));
    assert.equal(slotOf("foo{{bar}}zap"), slotOf("{bar"));
    assert.equal(slotOf("foo{bar}{zap}"), slotOf("bar"));
    assert.equal(hashTag("sgnet:q:{a}:p0"), "a");
    assert.equal(hashTag("sgnet:ctl"), undefined);
  });

  it("are found by the first key of each command", () => {
    const cases: readonly (readonly [string, string])[] = [
      ["SET k v PX 1", "k"],
      ["EVALSHA sha 2 k l", "k"],
      ["BLMPOP 0.5 2 k l LEFT COUNT 1", "k"],
      ["XGROUP CREATE k w 0", "k"],
      ["XINFO GROUPS k", "k"],
      ["XREADGROUP GROUP w c COUNT 1 STREAMS k >", "k"],
      ["XREAD COUNT 64 STREAMS k l 0 0", "k"],
      ["PUBLISH k text", "k"],
      ["TIME", ""],
    ];
    for (const [command, key] of cases) assert.equal(keyOf(command.split(" ")), key, command);
  });
});

const node = (host: string, port: number): unknown => [Buffer.from(host), port, Buffer.from("id"), []];

describe("the map of a cluster", () => {
  it("tells the master of each slot, whatever a node says of itself", () => {
    const reply = [
      [0, 9, node("", 1), node("h2", 2)],
      [10, 10, node("?", 1)],
      [11, SLOTS - 2, node("h3", 3)],
    ];
    const map = readClusterMap(reply, { host: "h1", port: 1 });
    assert.deepEqual([...map.masters.keys()], ["h1:1", "h3:3"]);
    assert.deepEqual(
      [0, 9, 10, 11, SLOTS - 2, SLOTS - 1].map((slot) => map.owners[slot]),
      ["h1:1", "h1:1", "h1:1", "h3:3", "h3:3", undefined],
    );
    assert.equal(map.owners.length, SLOTS);
    assert.ok(map.members.some(({ host }) => host === "h2"));
  });

  it("is corrected by redirections", () => {
    assert.deepEqual(readRedirection("MOVED 3999 127.0.0.1:6381"), { host: "127.0.0.1", port: 6381 });
    assert.deepEqual(readRedirection("ASK 3999 2001:db8::1:6381"), { host: "2001:db8::1", port: 6381 });
    assert.equal(readRedirection("MOVED 3999 :6381"), undefined);
  });
});
