import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { toFault } from "../../src/core/fault.ts";
import { refusalCode, refusalOf } from "../../src/redis/connection/refusal.ts";
import { outageCode, replyErrorCode, replyText } from "../../src/redis/connection/reply-error.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";

let redis: RedisRig;

before(async () => {
  redis = await openRedisRig();
});
after(async () => {
  await redis.close();
});

async function thrown(...args: string[]): Promise<Error> {
  return redis.connection.command(...args).then(
    () => assert.fail("it was answered"),
    (error: unknown) => error as Error,
  );
}

it("an error of one command has our words, its code, and Redis's words for those that must read them", async () => {
  await redis.connection.command("SET", "secret-key", "1");
  const error = await thrown("XLEN", "secret-key");
  assert.equal(toFault(error).message, "Redis answered XLEN with an error (WRONGTYPE)");
  assert.equal(replyErrorCode(error), "WRONGTYPE");
  assert.match(replyText(error), /^WRONGTYPE Operation/);
  assert.match(refusalOf(error) ?? "", /SGNET_PREFIX \(WRONGTYPE\)$/);
  const unknown = await thrown("XGROUP", "secret-key", "g");
  assert.doesNotMatch(unknown.message, /secret-key/);
  assert.equal(refusalCode(unknown), "ERR");
  assert.equal(refusalOf(unknown), undefined);
});

it("an outage has our words, and the code of what Redis said", async () => {
  await redis.connection.command("CONFIG", "SET", "maxmemory", "1");
  const error = await thrown("SET", "secret-key", "2");
  await redis.connection.command("CONFIG", "SET", "maxmemory", "0");
  assert.equal(error.message, "Redis refuses commands now (OOM)");
  assert.deepEqual(
    [toFault(error).code, outageCode(error), refusalCode(error)],
    ["redis_down", "OOM", "OOM"],
  );
});
