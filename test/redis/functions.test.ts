import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { loadFunctions, preferFunctions } from "../../src/redis/functions.ts";
import {
  CLAIM,
  HAND_BACK,
  FUNCTION_LIBRARY,
  LOG,
  OPEN,
  run,
  runInOrder,
  SCRIPTS,
  TAKE,
  TAKE_PLACED,
  TIDY,
} from "../../src/redis/scripts.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

const RIGHTS = "~* &* +@all -@scripting +fcall -function";

describe("scripts as functions of Redis", () => {
  let rig: RedisRig;
  let restricted: Connection;
  before(async () => {
    rig = await openRedisRig();
    await rig.connection.command("ACL", "SETUSER", "few", "on", "nopass", ...RIGHTS.split(" "));
    const url = new URL(rig.server.url);
    url.username = "few";
    url.password = "x";
    restricted = await connect(url.href, "test");
  });
  after(async () => {
    restricted.close();
    await rig.close();
  });

  async function calls(command: string): Promise<number> {
    const stats = String(await rig.connection.command("INFO", "commandstats"));
    return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  }

  it("keep a user from running any script of his own", async () => {
    for (const command of [
      ["EVAL", "return 1", "0"],
      ["SCRIPT", "LOAD", "return 1"],
      ["FUNCTION", "LOAD", "#!lua name=x\nredis.register_function('x', function() end)"],
      ["FUNCTION", "FLUSH"],
    ]) {
      await assert.rejects(restricted.command(...command), /NOPERM/);
    }
  });

  it("say what is missing, and to whom to turn, before an admin has loaded them", async () => {
    await preferFunctions(restricted);
    await assert.rejects(run(restricted, OPEN, ["r"], ["1000"]), /NOPERM/);
  });

  it("are loaded once, beside those of other versions, and called from then on", async () => {
    assert.equal(await loadFunctions(rig.connection), true);
    assert.equal(await loadFunctions(rig.connection), false);
    const other =
      "#!lua name=sgnet_other\nredis.register_function('sgnet_other_open', function() return 1 end)";
    await rig.connection.command("FUNCTION", "LOAD", other);
    await preferFunctions(restricted);
    assert.equal(await run(restricted, LOG, ["log"], ["1", "summary"]), 1);
    assert.equal(await runInOrder(restricted, OPEN, ["r:{a}:1"], ["1000"]), 1);
    assert.equal(await restricted.command("EXISTS", "r:{a}:1"), 1);
    assert.equal(await calls("eval"), 0);
    assert.equal(await calls("fcall"), 4, "two looks, and two calls");
  });

  it("have a function for each of them", async () => {
    const [library] = (await rig.connection.command(
      "FUNCTION",
      "LIST",
      "LIBRARYNAME",
      FUNCTION_LIBRARY,
    )) as unknown[][];
    const functions = library?.[library.findIndex((part) => String(part) === "functions") + 1];
    assert.equal((functions as unknown[]).length, SCRIPTS.length + 1);
  });

  it("that let tasks end run while Redis is out of memory", async () => {
    await rig.connection.command("CONFIG", "SET", "maxmemory", "1");
    try {
      for (const script of [TAKE, TAKE_PLACED]) {
        const reply = await run(restricted, script, ["q:{m}"], ["w", "w1", "1", "1"]);
        assert.ok(Array.isArray(reply), script.name);
      }
      assert.deepEqual(await run(restricted, CLAIM, ["r:{none}"], ["5", "w1"]), [0, Buffer.from("0")]);
      assert.equal(await run(restricted, TIDY, ["q:{none}"], ["w", "1"]), 0);
      await assert.rejects(run(restricted, HAND_BACK, ["q:{none}"], ["w", "w1", "1-0", "1"]), /NOGROUP/);
    } finally {
      await rig.connection.command("CONFIG", "SET", "maxmemory", "0");
    }
  });

  it("are told to be lost when they are, and run as scripts for who may", async () => {
    await rig.connection.command("FUNCTION", "FLUSH");
    await assert.rejects(run(restricted, OPEN, ["r:{a}:2"], ["1000"]), {
      code: "redis_down",
      message: "Redis has lost the functions of this version: run sgnet load-functions",
    });
    await loadFunctions(rig.connection);
    assert.equal(await run(restricted, OPEN, ["r:{a}:2"], ["1000"]), 1);
    await preferFunctions(rig.connection);
    await rig.connection.command("FUNCTION", "FLUSH");
    assert.equal(await run(rig.connection, OPEN, ["r:{a}:3"], ["1000"]), 1);
  });
});
