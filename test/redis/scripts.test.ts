import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { startRedis } from "../../src/local-redis/redis-child.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import { Keys } from "../../src/redis/keys.ts";
import { openStores } from "../../src/redis/stores.ts";

test("a reply stream exists for the very next command, even when Redis has forgotten all scripts", async () => {
  const dir = await mkdtemp(join(tmpdir(), "sgnet-scripts-"));
  const redis = await startRedis({ dir, persistent: false });
  const connection = await connect(redis.url, "test");
  const keys = new Keys("test");
  try {
    await connection.command("SCRIPT", "FLUSH");
    const opened = openStores(connection, keys).replies.open([{ id: "g.1", life: 60_000 }]);
    assert.equal(await connection.command("EXISTS", keys.reply("g.1")), 1);
    await opened;
  } finally {
    connection.close();
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
  }
});
