import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { requireSupported } from "../../src/redis/connection/server.ts";
import { FakeConnection } from "../rig/redis/fake-connection.ts";

/** A Redis that says this of itself. */
function serverThatSays(info: string): FakeConnection {
  const connection = new FakeConnection();
  connection.answer = () => Buffer.from(info);
  return connection;
}

describe("the version of Redis", () => {
  it("is refused in a sentence when it is too old", async () => {
    await assert.rejects(requireSupported(serverThatSays("# Server\r\nredis_version:6.2.14\r\n")), {
      code: "internal",
      message: "Redis 6.2.14 is too old: Redis 7.0 or later, or a Valkey, is needed.",
    });
  });

  it("is taken from 7.0 on, of any Valkey, and where it is not told", async () => {
    const texts = [
      "redis_version:7.0.0",
      "redis_version:10.1.0",
      "redis_version:7.2.4\r\nvalkey_version:9.1.2",
      "",
    ];
    for (const text of texts) await requireSupported(serverThatSays(text));
  });
});
