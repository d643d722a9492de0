import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { asText } from "../../src/redis/connection/resp.ts";
import { EMIT, ENQUEUE, run, TAKE_PLACED } from "../../src/redis/scripts.ts";
import type { Script } from "../../src/redis/scripts.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

/** Redis serves no other client meanwhile: each of these took seconds, or for ever, before it was bounded. */
const MOST_MS = 500;

/** Our own words have none of Redis's. */
function refusesSize(error: unknown): boolean {
  return error instanceof Error && /no such size/.test(String(error.cause));
}

describe("the scripts, called by whoever has stolen the password of a worker", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => rig.close());

  /** By Redis's own account, ms. */
  async function spent(script: Script, keys: readonly string[], args: readonly string[]): Promise<number> {
    await rig.connection.command("CONFIG", "RESETSTAT");
    await run(rig.connection, script, keys, args);
    const stats = asText(await rig.connection.command("INFO", "commandstats"));
    const times = stats.matchAll(/^cmdstat_eval(?:sha)?:calls=\d+,usec=(\d+)/gm);
    return Array.from(times, ([, usec]) => Number(usec)).reduce((one, other) => one + other, 0) / 1000;
  }

  it("look at no more queues than are named, whatever number is", async () => {
    for (const count of ["20000000", "nan"]) {
      assert.ok((await spent(TAKE_PLACED, ["q"], ["w", "me", "1", count])) < MOST_MS, count);
    }
  });

  it("ask a queue once, however often it is named", async () => {
    await rig.connection.command("XADD", "q", "1-1", "t", "x");
    for (let group = 0; group < 500; group += 1) {
      await rig.connection.command("XGROUP", "CREATE", "q", `g${group}`, "0");
    }
    const keys = Array.from({ length: 20_000 }, () => "q");
    assert.ok((await spent(TAKE_PLACED, keys, ["w", "me", "1", "0"])) < MOST_MS);
  });

  it("look at the end of a reply once, however many frames it is to get", async () => {
    await rig.connection.command("XADD", "r", "1-1", "f", "x".repeat(4_000_000));
    const frames = Array.from({ length: 5000 }, () => ["2-1", "f0"]).flat();
    const keys = Array.from({ length: 5000 }, () => "r");
    assert.ok((await spent(EMIT, keys, ["c", "PUBLISH", "1000", "", ...frames])) < MOST_MS);
  });

  it("go through records from their beginning to their end", async () => {
    for (const size of ["-2", "4", "nan", "x"]) {
      await assert.rejects(
        run(
          rig.connection,
          EMIT,
          ["r", "r"],
          ["c", "PUBLISH", "1000", "abc", "3-1", "f3", "3-2", `f${size}`],
        ),
        refusesSize,
        size,
      );
      const tasks = ["2", "abc", "1", "1000", "3", "1", "1000", size];
      await assert.rejects(run(rig.connection, ENQUEUE, ["a", "b", "m", "d"], tasks), refusesSize, size);
    }
  });
});
