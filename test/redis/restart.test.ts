import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { refusalOf } from "../../src/redis/connection/refusal.ts";
import { until } from "../rig/until.ts";
import { restartableRig } from "../rig/redis/restartable-rig.ts";
import { movesOf } from "../rig/redis/suite-servers.ts";

/** Loads 400 keys in four seconds, and answers meanwhile. */
const SLOW_TO_LOAD = "--key-load-delay 10000 --loading-process-events-interval-bytes 1024";

describe("a connection to one server", () => {
  const rig = restartableRig(`--appendonly yes --rdbcompression no ${SLOW_TO_LOAD}`);
  const { opened } = rig;
  const cut = async (): Promise<void> => {
    await (await opened()).command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  };
  const restart = async (): Promise<void> => {
    await rig.server.kill();
    await rig.server.startAgain();
  };

  it("tells whether the server was started again", async () => {
    const connection = await opened();
    const moves = movesOf(connection);
    for (const [count, breaks] of [cut, restart, cut, restart].entries()) {
      await breaks();
      await until("its return", () => moves.length > count);
    }
    assert.deepEqual(moves, [false, true, false, true]);
  });

  it("that only listens cannot ask, and says so", async () => {
    const connection = await opened();
    const moves = movesOf(connection);
    await connection.subscribe("news", () => undefined);
    await (await opened()).command("CLIENT", "KILL", "TYPE", "pubsub");
    await until("its return", () => moves.length > 0);
    assert.deepEqual(moves, [true]);
  });

  it("comes back when the server has loaded its data; before that it is not ready", async () => {
    const connection = await opened();
    const keys = Array.from({ length: 400 }, (_, index) => [`key ${index}`, "x".repeat(1024)]);
    await connection.command("MSET", ...keys.flat());
    await connection.command("BGREWRITEAOF");
    const persistence = async (): Promise<string> => String(await connection.command("INFO", "persistence"));
    await until("a file that is loaded slowly", async () =>
      /aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(await persistence()),
    );
    const reasons: (string | undefined)[] = [];
    const early: unknown[] = [];
    const atReturn: Promise<unknown>[] = [];
    connection.onDown((error) => {
      reasons.push(refusalOf(error));
      early.push(connection.ready);
    });
    connection.onReconnect(() => atReturn.push(connection.command("STRLEN", "key 399")));
    await restart();
    await until("its return", () => atReturn.length > 0);
    assert.ok(reasons.includes("it is loading its data: wait until it has (LOADING)"), String(reasons));
    assert.deepEqual(await Promise.all(atReturn), [1024]);
    assert.ok(!early.includes(true));
  });
});
