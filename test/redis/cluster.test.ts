import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { outageCode } from "../../src/redis/connection/reply-error.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { problemOf, readRedis, requireSupported, uptimeMs } from "../../src/redis/connection/server.ts";
import { slotOf } from "../../src/redis/connection/slots.ts";
import { openStores } from "../../src/redis/stores.ts";
import { until } from "../rig/until.ts";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { CHANNEL, heard, SuiteServers, movesOf } from "../rig/redis/suite-servers.ts";
import type { RedisServer } from "../rig/redis/redis-server.ts";

const keys = new Keys("test");

/** Queues on three nodes, and a gateway's replies. */
const MODELS = ["a", "b", "c", "d", "e"];
const TAG = "g0";
const TASK = `${TAG}.1`;

/** The number of redirections by these nodes. */
async function redirectionsOf(nodes: readonly RedisServer[]): Promise<number> {
  const infos = await Promise.all(nodes.map(async (node) => node.text("INFO", "errorstats")));
  const counts = [...infos.join("\n").matchAll(/^errorstat_(?:ASK|MOVED):count=(\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe("a connection to a Redis Cluster", () => {
  const many = new SuiteServers((dir) => RedisCluster.start(dir));
  const opened = async (): Promise<Connection> => many.connect();

  const otherMaster = async (than: RedisServer): Promise<RedisServer> => {
    const other = (await many.rig.allMasters()).find((node) => node !== than);
    if (other === undefined) throw new Error("there is one master only");
    return other;
  };

  it("sends each command to the master of its key, and some to all", async () => {
    const connection = await opened();
    assert.equal(connection.sharded, true);
    assert.equal(connection.ready, true);
    for (const key of ["a", "{b}c", "test:q:{ä}:p0", "x{}y", "\u{1F600}", CHANNEL]) {
      assert.equal(slotOf(key), Number(await many.rig.nodes[0]?.ask("CLUSTER", "KEYSLOT", key)), key);
      await connection.command("SET", key, key);
      assert.equal(String(await connection.command("GET", key)), key);
    }
    assert.deepEqual(await connection.everywhere("PING"), ["PONG", "PONG", "PONG"]);
    await requireSupported(connection);
    const reading = await readRedis(connection, () => performance.now());
    assert.ok(reading.clients >= 6 && reading.usedMemoryBytes > 1_000_000 && reading.persistent);
    assert.match(
      problemOf((await many.rig.nodes[0]?.text("INFO", "server")) ?? "", false) ?? "",
      /cluster:\/\//,
    );
  });

  it("claims from queues of several nodes, never more than its credits", async () => {
    const connection = await opened();
    const blocking = await opened();
    for (const model of MODELS) await openStores(connection, keys).queue.ensureGroup(model);
    for (const model of MODELS) await openStores(connection, keys).queue.add(model, Buffer.from(model));
    await openStores(connection, keys).doorbells.ring("c", 1);
    const look = { models: MODELS, consumer: "w1", credits: 2, waitMs: 20_000 };
    const rung = await openStores(blocking, keys).consumer.take(look);
    assert.deepEqual(
      rung.map(({ model }) => model),
      ["c"],
      "only where it rang",
    );
    await openStores(connection, keys).doorbells.ring("e", 1);
    const both = await openStores(blocking, keys).consumer.take({ ...look, all: true });
    assert.deepEqual(
      both.map(({ model }) => model),
      ["e", "a"],
    );
    const rest = await openStores(blocking, keys).consumer.take({ ...look, credits: 9, waitMs: 1 });
    assert.deepEqual(
      rest.map(({ model }) => model),
      ["b", "d"],
      "a lost token is healed",
    );
  });

  it("keeps what it claimed when a later queue is refused", async () => {
    const blocking = await opened();
    await openStores(blocking, keys).queue.ensureGroup("first");
    await openStores(blocking, keys).queue.add("first", Buffer.from("1"));
    const look = { models: ["first", "no-group"], consumer: "w1", credits: 2, waitMs: 1 };
    assert.equal((await openStores(blocking, keys).consumer.take(look)).length, 1);
    await assert.rejects(openStores(blocking, keys).consumer.take(look), /NOGROUP/);
  });

  it("brings frames over a channel of their slot", async () => {
    const connection = await opened();
    const channel = await opened();
    const messages: Buffer[] = [];
    await channel.subscribe(CHANNEL, (message) => messages.push(message));
    await openStores(connection, keys).replies.open([{ id: TASK, life: 60_000 }]);
    const frame = { task: TASK, attempt: 7, seq: 1, last: false, bytes: Buffer.from("frame") };
    assert.deepEqual(await openStores(connection, keys).replies.emit(TAG, [frame]), ["accepted"]);
    await until("the frame", () => messages.length === 1);
    assert.equal(messages[0]?.toString(), "frame");
    const found = await openStores(connection, keys).replies.read([{ task: TASK, attempt: 0, seq: 0 }], 10);
    assert.equal(found.get(TASK)?.length, 1);
  });

  it("follows a slot that is moved to another master, and one that has been moved", async () => {
    const connection = await opened();
    const messages = await many.listen();
    await heard(connection, messages);
    const from = await many.rig.masterOf(CHANNEL);
    const to = await otherMaster(from);
    const slot = String(slotOf(CHANNEL));
    const [fromId, toId] = [await from.text("CLUSTER", "MYID"), await to.text("CLUSTER", "MYID")];
    await to.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
    await from.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
    const fresh = `{${TAG}}:fresh`;
    await connection.command("SET", fresh, "1");
    assert.equal(String(await connection.command("GET", fresh)), "1", "asked at the new master");
    assert.equal(await from.ask("EXISTS", CHANNEL), 1, "what is not moved yet is where it was");
    const moving = (await from.ask("CLUSTER", "GETKEYSINSLOT", slot, "100")) as Buffer[];
    await from.ask("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...moving);
    const moves = movesOf(connection);
    for (const node of [to, from]) await node.ask("CLUSTER", "SETSLOT", slot, "NODE", toId);
    assert.equal(String(await connection.command("GET", CHANNEL)), CHANNEL);
    assert.equal(connection.ready, true);
    assert.deepEqual(moves, [true], "somebody else has the slot now");
    await heard(connection, messages);
  });

  it("hides redirections: a circle of them is an outage", async () => {
    const connection = await opened();
    const key = `{${TAG}}:circle`;
    const from = await many.rig.masterOf(key);
    const to = await otherMaster(from);
    const slot = String(slotOf(key));
    const toId = await to.text("CLUSTER", "MYID");
    // One that moves the slot to somebody who knows nothing of it: ASK there, MOVED back.
    await from.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
    const before = await redirectionsOf([from, to]);
    await assert.rejects(connection.command("SET", key, "1"), { name: "Fault", code: "redis_down" });
    assert.equal((await redirectionsOf([from, to])) - before, 6, "five are followed");
    assert.equal(connection.ready, true, "others are served meanwhile");
    await from.ask("CLUSTER", "SETSLOT", slot, "STABLE");
    await connection.command("SET", key, "1");
  });

  it("tells a master that was started again from one to which the connection was cut", async () => {
    await many.rig.whole();
    const connection = await opened();
    const moves = movesOf(connection);
    const master = await many.rig.masterOf(CHANNEL);
    await master.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await until("down and up", () => moves.length > 0);
    await master.kill();
    await master.startAgain();
    assert.match(await master.text("INFO", "replication"), /role:master/, "before it was replaced");
    await until("up again", () => moves.length > 1);
    assert.deepEqual(moves, [false, true]);
    await many.rig.whole();
  });

  it("is not up again before a master that took the cluster for broken says that it is not", async () => {
    const connection = await opened();
    const doubting = await many.rig.masterOf(CHANNEL);
    const elsewhere = String(slotOf(await keyElsewhere(many.rig, doubting)));
    // Its owner tells it of the slot again within a second, perhaps before the question. Till then the others take all
    // for well.
    await until("a doubt", async () => {
      await doubting.ask("CLUSTER", "DELSLOTS", elsewhere);
      return connection.command("SET", CHANNEL, "1").then(
        () => false,
        (error: unknown) => outageCode(error) === "CLUSTERDOWN",
      );
    });
    assert.equal(connection.ready, false);
    await until("up", () => connection.ready);
    await connection.command("SET", CHANNEL, "1");
  });

  it("hears on when a replica is made the master", async () => {
    const connection = await opened();
    const messages = await many.listen();
    const replica = await replicaOf(many.rig, await many.rig.masterOf(CHANNEL));
    await promote(many.rig, replica);
    await connection.command("SET", CHANNEL, "new");
    assert.equal(String(await replica.ask("GET", CHANNEL)), "new");
    await heard(connection, messages);
    assert.equal(await uptimeMs(connection), 0, "how long it has been the master nobody tells");
  });

  it("is down while a master is lost, and up with another; one may start meanwhile", async () => {
    await many.rig.whole();
    const lost = await many.rig.masterOf(CHANNEL);
    const other = await keyElsewhere(many.rig, lost);
    await many.survives(
      () => lost.kill(),
      async (connection) => {
        await connection.command("SET", other, "others serve on");
      },
    );
    await many.rig.startAgain();
  });
});

async function replicaOf(cluster: RedisCluster, master: RedisServer): Promise<RedisServer> {
  for (const node of cluster.nodes) {
    const info = await node.text("INFO", "replication");
    if (new RegExp(`^master_port:${master.port}\\b`, "m").test(info)) return node;
  }
  throw new Error("it has no replica");
}

/** Redis gives a failover up that takes longer than 5 s, as on a busy machine: then it is asked for again. */
async function promote(cluster: RedisCluster, replica: RedisServer): Promise<void> {
  await cluster.whole();
  let askedAt = Number.NEGATIVE_INFINITY;
  await until("another master", async () => {
    if (performance.now() - askedAt > 6000) {
      askedAt = performance.now();
      await replica.text("CLUSTER", "FAILOVER");
    }
    return (await cluster.masterOf(CHANNEL)) === replica;
  });
}

async function keyElsewhere(cluster: RedisCluster, than: RedisServer): Promise<string> {
  for (const key of MODELS) if ((await cluster.masterOf(key)) !== than) return key;
  throw new Error("one master has all keys");
}
