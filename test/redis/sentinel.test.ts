import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connect.ts";
import type { Connection } from "../../src/redis/connection.ts";
import { refusalOf } from "../../src/redis/refusal.ts";
import { problemOf, uptimeMs } from "../../src/redis/server.ts";
import { until } from "../journey/until.ts";
import { SentinelTrio } from "./sentinel-rig.ts";

const CHANNEL = "test:c:{g0}";

/** Sends until it is heard. */
async function heard(from: Connection, messages: readonly string[]): Promise<void> {
  const count = messages.length;
  await until("a message", async () => {
    await from.command("PUBLISH", CHANNEL, "news").catch(() => undefined);
    return messages.length > count;
  });
}

describe("a connection by way of Sentinel", () => {
  let dir: string;
  let trio: SentinelTrio;
  const open: Connection[] = [];

  const opened = async (): Promise<Connection> => {
    const connection = await connect(trio.url, "test");
    open.push(connection);
    return connection;
  };

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), "sgnet-sentinel-"));
    trio = await SentinelTrio.start(dir);
  });

  after(async () => {
    for (const connection of open) connection.close();
    await trio.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("is one to the master", async () => {
    const connection = await opened();
    assert.equal(connection.sharded, false);
    assert.equal(connection.ready, true);
    await connection.command("SET", "key", "value");
    assert.equal(String(await (await trio.master()).ask("GET", "key")), "value");
    assert.deepEqual(await connection.everywhere("PING"), ["PONG"]);
    assert.ok((await uptimeMs(connection)) > 0);
    const [sentinel] = trio.sentinels;
    assert.match(problemOf((await sentinel?.tell("INFO", "server")) ?? "", false) ?? "", /sentinel:\/\//);
  });

  it("cannot be made to a master that no sentinel knows, which is said", async () => {
    const wrong = connect(trio.url.replace("mymaster", "other"), "test");
    const error: unknown = await wrong.catch((cause: unknown) => cause);
    assert.equal(refusalOf(error), "its sentinels know no master other");
  });

  it("goes to the new master at once when the sentinels name one, and stays without sentinels", async () => {
    const connection = await opened();
    const messages: string[] = [];
    await (await opened()).subscribe(CHANNEL, (message) => messages.push(message.toString()));
    const moves: boolean[] = [];
    connection.onReconnect((moved) => moves.push(moved));
    const old = await trio.master();
    assert.equal(await trio.sentinels[1]?.tell("SENTINEL", "FAILOVER", "mymaster"), "OK");
    await until("another name", async () => (await trio.master()) !== old);
    // Sooner than it would look by itself; the old one goes on as a master for some seconds.
    await until("a connection to it", () => moves.length === 1, 2500);
    assert.deepEqual(moves, [true]);
    await connection.command("SET", "key", "new");
    assert.equal(String(await (await trio.master()).ask("GET", "key")), "new");
    await heard(connection, messages);
    assert.equal(await uptimeMs(connection), 0, "how long it has been the master nobody tells");
    for (const sentinel of trio.sentinels.slice(1)) sentinel.signal("SIGSTOP");
    await trio.sentinels[0]?.kill();
    await connection.command("SET", "key", "no sentinel");
    assert.equal(connection.ready, true);
    for (const sentinel of trio.sentinels.slice(1)) sentinel.signal("SIGCONT");
    await trio.sentinels[0]?.startAgain();
  });

  it("finds a master again that began as a replica, was killed, and back before anybody missed it", async () => {
    await trio.whole();
    const connection = await opened();
    const master = await trio.master();
    assert.notEqual(master, trio.servers[0]);
    const moved = new Promise((resolve) => connection.onReconnect(resolve));
    await trio.kill();
    await until("down", () => !connection.ready);
    await master.startAgain();
    // As the replica that it once was it would not be replaced for half a minute.
    assert.match(await master.tell("INFO", "replication"), /role:master/);
    await until("up", () => connection.ready);
    assert.equal(await moved, false);
    await connection.command("SET", "key", "2");
  });

  it("is down while the master is lost, and up with another", async () => {
    await trio.whole();
    const connection = await opened();
    const messages: string[] = [];
    await (await opened()).subscribe(CHANNEL, (message) => messages.push(message.toString()));
    const events: string[] = [];
    connection.onDown(() => events.push("down"));
    connection.onReconnect(() => events.push("up"));
    await trio.kill();
    await until("down", () => !connection.ready);
    await assert.rejects(connection.command("SET", "key", "1"), { code: "redis_down" });
    await assert.rejects(connect(trio.url, "early"), { code: "redis_down" });
    await until("up", () => connection.ready);
    assert.deepEqual([events.at(0), events.at(-1), events.indexOf("up")], ["down", "up", events.length - 1]);
    await connection.command("SET", "key", "1");
    await heard(connection, messages);
  });
});
