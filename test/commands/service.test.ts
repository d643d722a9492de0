import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { processEnvironment } from "../../src/config/environment.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import { newFolder } from "../rig/command.ts";
import { EPHEMERAL, RedisServer } from "../rig/redis/redis-server.ts";
import { until } from "../rig/until.ts";

const CLI = join(import.meta.dirname, "../../src/cli.ts");

describe("a gateway whose parent has a channel to it", () => {
  const folder = newFolder();
  let redis: RedisServer;
  before(async () => {
    redis = await RedisServer.start({ dir: join(folder.path, "redis"), args: EPHEMERAL });
  });
  after(async () => {
    await redis.stop();
    folder.remove();
  });

  function fork(REDIS_URL: string): { readonly child: ChildProcess; stderr: () => string } {
    const { PATH, HOME } = processEnvironment();
    const child = spawn(process.execPath, [CLI, "gateway", "--port", "0"], {
      cwd: folder.path,
      env: { PATH, HOME, REDIS_URL },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let text = "";
    child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
    return { child, stderr: () => text };
  }

  it("tells it its port, and stops when the channel closes", async () => {
    const { child } = fork(redis.socketUrl);
    const exited = once(child, "exit"); // Node emits no "close" after a disconnect from this side.
    const [message] = (await once(child, "message")) as [{ port: number }];
    const response = await fetch(`http://127.0.0.1:${message.port}/api/version`);
    await response.text();
    assert.equal(response.status, 200);
    child.disconnect();
    assert.deepEqual(await exited, [0, null]);
  });

  it("stops in the middle of its start, while Redis takes no writes", async () => {
    const admin = await connect(redis.url, "test");
    await admin.command("CLIENT", "PAUSE", "600000", "WRITE");
    try {
      const { child } = fork(redis.url);
      const closed = once(child, "close");
      await until("its connection", async () =>
        String(await admin.command("CLIENT", "LIST")).includes("name=sgnet-gateway-commands"),
      );
      child.kill("SIGTERM");
      assert.deepEqual(await closed, [0, null]);
    } finally {
      await admin.command("CLIENT", "UNPAUSE");
      admin.close();
    }
  });

  it("tells it why it did not start, and says so itself unless the parent is sgnet up", async () => {
    const { child, stderr } = fork("redis://127.0.0.1:1");
    const closed = once(child, "close");
    const [message] = (await once(child, "message")) as [{ problem: string }];
    assert.match(message.problem, /Redis/);
    assert.deepEqual(await closed, [1, null]);
    assert.equal(stderr().trim().split("\n").at(-1), message.problem);
  });
});
