import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { refusalOf } from "../../src/redis/connection/refusal.ts";
import { problemOf, uptimeMs } from "../../src/redis/connection/server.ts";
import { until } from "../rig/until.ts";
import { heard, SuiteServers, movesOf } from "../rig/redis/suite-servers.ts";
import { SentinelTrio } from "../rig/redis/sentinel-trio.ts";

describe("a connection by way of Sentinel", () => {
  const many = new SuiteServers((dir) => SentinelTrio.start(dir));
  const opened = async (): Promise<Connection> => many.connect();

  it("is one to the master", async () => {
    const connection = await opened();
    assert.equal(connection.sharded, false);
    assert.equal(connection.ready, true);
    await connection.command("SET", "key", "value");
    assert.equal(String(await (await many.rig.master()).ask("GET", "key")), "value");
    assert.deepEqual(await connection.everywhere("PING"), ["PONG"]);
    assert.ok((await uptimeMs(connection)) > 0);
    const [sentinel] = many.rig.sentinels;
    assert.match(problemOf((await sentinel?.text("INFO", "server")) ?? "", false) ?? "", /sentinel:\/\//);
  });

  it("cannot be made to a master that no sentinel knows, which is said", async () => {
    const wrong = connect(many.rig.url.replace("mymaster", "other"), "test");
    const error: unknown = await wrong.catch((cause: unknown) => cause);
    assert.equal(refusalOf(error), "its sentinels know no master other");
  });

  it("goes to the new master at once when the sentinels name one, and stays without sentinels", async (t) => {
    // It does not look by itself.
    t.mock.timers.enable({ apis: ["setInterval"] });
    const connection = await opened();
    const messages = await many.listen();
    const moves = movesOf(connection);
    let breaks = 0;
    connection.onDown(() => (breaks += 1));
    const old = await many.rig.master();
    assert.equal(await many.rig.sentinels[1]?.text("SENTINEL", "FAILOVER", "mymaster"), "OK");
    await until("another name", async () => (await many.rig.master()) !== old);
    await until("a connection to it", () => moves.length > 0);
    t.mock.timers.reset();
    assert.equal(breaks, 0, "the old one goes on as a master for eight seconds, then it hangs up");
    assert.deepEqual(moves, [true]);
    await connection.command("SET", "key", "new");
    assert.equal(String(await (await many.rig.master()).ask("GET", "key")), "new");
    await heard(connection, messages);
    assert.equal(await uptimeMs(connection), 0, "how long it has been the master nobody tells");
    for (const sentinel of many.rig.sentinels.slice(1)) sentinel.signal("SIGSTOP");
    await many.rig.sentinels[0]?.kill();
    await connection.command("SET", "key", "no sentinel");
    assert.equal(connection.ready, true);
    for (const sentinel of many.rig.sentinels.slice(1)) sentinel.signal("SIGCONT");
    await many.rig.sentinels[0]?.startAgain();
  });

  it("finds a master again that began as a replica, was killed, and back before anybody missed it", async () => {
    await many.rig.whole();
    const connection = await opened();
    const master = await many.rig.master();
    assert.notEqual(master, many.rig.servers[0]);
    const moves = movesOf(connection);
    await many.rig.kill();
    await until("down", () => !connection.ready);
    await master.startAgain();
    // As the replica that it once was it would not be replaced for half a minute.
    assert.match(await master.text("INFO", "replication"), /role:master/);
    await until("up", () => connection.ready);
    assert.deepEqual(moves, [true], "it may have lost what it was told last");
    await connection.command("SET", "key", "2");
  });

  it("is the same again when only the connection was cut", async () => {
    await many.rig.whole();
    const connection = await opened();
    const moves = movesOf(connection);
    await (await many.rig.master()).ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await until("down and up", () => moves.length > 0);
    assert.deepEqual(moves, [false]);
  });

  it("is down while the master is lost, and up with another", async () => {
    await many.rig.whole();
    await many.survives(() => many.rig.kill());
  });
});
