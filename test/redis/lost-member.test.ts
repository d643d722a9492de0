import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openMember } from "../../src/redis/connection/open-node.ts";
import { restartableRig } from "../rig/redis/restartable-rig.ts";

describe("a lost connection that does not reconnect by itself", () => {
  const rig = restartableRig("--appendonly no");

  it("refuses subscriptions at once, and does not keep them for ever", async () => {
    const { hostname: host, port } = new URL(rig.server.url);
    const access = {};
    const member = await openMember({
      address: { host, port: Number(port) },
      tls: false,
      access,
      name: "test",
    });
    const down = Promise.withResolvers<unknown>();
    member.onDown(down.resolve);
    await rig.server.kill();
    await down.promise;
    for (const channel of ["plain", "{tagged}"]) {
      await assert.rejects(
        member.subscribeInCluster(channel, () => undefined),
        { code: "redis_down" },
      );
    }
    member.close();
  });
});
