import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { checkClocks, judgeClocks } from "../../src/commands/doctor-clocks.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import { Keys } from "../../src/redis/keys.ts";
import { judgeRedis } from "../../src/commands/doctor-redis.ts";
import { checkFolder, checkNode } from "../../src/commands/doctor.ts";
import { localUrl } from "../../src/commands/listening.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import { newFolder, runCommand, startCommand } from "../rig/command.ts";
import { takenPort } from "../rig/taken-port.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";

/** The findings to fix for this reply to INFO. */
function judge(facts: string): string[] {
  return judgeRedis(facts.replaceAll(" ", "\r\n"))
    .filter(({ ok }) => !ok)
    .map(({ text }) => text);
}

describe("sgnet doctor", () => {
  const folder = newFolder();
  const cwd = folder.path;
  after(() => folder.remove());

  it("finds nothing to fix where everything is right", async () => {
    const standIn = await startStandIn();
    const redis = await RedisServer.start({ dir: join(cwd, "redis") });
    const env = { REDIS_URL: redis.url, SGNET_BACKENDS: standIn.url, PORT: "0" };
    const { code, stdout } = await runCommand(["doctor"], { cwd, env });
    await redis.stop();
    await standIn.stop();
    assert.match(stdout, /^ok {3}redis +Redis 7\./m);
    assert.match(stdout, /^ok {3}backends +http:\S+ answers, kind ollama$/m);
    assert.ok(
      stdout
        .trim()
        .split("\n")
        .every((line) => line.startsWith("ok ")),
      stdout,
    );
    assert.equal(code, 0);
  });

  it("tells everything that must be fixed", async (t) => {
    const env = {
      REDIS_URL: "redis://user:hunter2@127.0.0.1:1",
      SGNET_BACKENDS: "ollama+http://127.0.0.1:1",
      PORT: String(await takenPort(t)),
    };
    const { code, stdout } = await runCommand(["doctor"], { cwd, env });
    assert.match(stdout, /^fix {2}redis +.*check REDIS_URL/m);
    assert.match(stdout, /^fix {2}backends +http:\/\/127\.0\.0\.1:1: /m);
    assert.match(stdout, /^fix {2}port +Port \d+ of 127\.0\.0\.1 is taken/m);
    assert.doesNotMatch(stdout, /hunter2/);
    assert.equal(code, 1);
  });

  it("tells models with timeouts that no worker has offered", async () => {
    const redis = await RedisServer.start({ dir: join(cwd, "redis-of-models") });
    try {
      const connection = await connect(redis.url, "test");
      await connection.command("ZADD", new Keys("sgnet").models(), "1", "llama3:70b");
      connection.close();
      const told = async (timeouts: string): Promise<string> => {
        const env = { REDIS_URL: redis.url, SGNET_MODEL_TIMEOUTS: timeouts, PORT: "0" };
        return (await runCommand(["doctor"], { cwd, env })).stdout;
      };
      assert.match(await told("llama3:70b idle=5000; lama3 idle=5000"), /^ok {3}models .* offered: lama3;/m);
      assert.match(await told("llama3:70b idle=5000"), /^ok {3}models .* are all known$/m);
      assert.doesNotMatch(await told(""), / models /);
    } finally {
      await redis.stop();
    }
  });

  it("finds the gateway that runs on this machine, wherever it listens", async () => {
    const redis = await RedisServer.start({ dir: join(cwd, "redis-of-gateway") });
    const gateway = startCommand(["gateway"], { cwd, env: { REDIS_URL: redis.url, PORT: "0" } });
    try {
      const port = await gateway.see(/gateway is ready.*"port":(\d+)/);
      const line = new RegExp(`^ok {3}gateway +one runs at 127\\.0\\.0\\.1 port ${port}$`, "m");
      const elsewhere = await runCommand(["doctor"], { cwd, env: { REDIS_URL: redis.url, PORT: "1" } });
      assert.match(elsewhere.stdout, line, "as the fleet's registry tells it");
      const told = await runCommand(["doctor"], {
        cwd,
        env: { REDIS_URL: "redis://127.0.0.1:1", PORT: port },
      });
      assert.match(told.stdout, line, "by its port, when that Redis is not its own");
    } finally {
      gateway.child.kill();
      await gateway.ended;
      await redis.stop();
    }
  });

  it("compares the clocks of this machine and of the fleet with that of Redis", async () => {
    const redis = await RedisServer.start({ dir: join(cwd, "redis-of-clocks") });
    try {
      const connection = await connect(redis.url, "test");
      const now = Date.now();
      assert.deepEqual(await checkClocks(connection, [{ host: "near", seenAt: now - 10_000 }]), [
        { ok: true, about: "clocks", text: "all agree with Redis" },
      ]);
      const hour = 3_600_000;
      const strange = [
        { host: "fast", seenAt: now + hour },
        { host: "slow", seenAt: now - hour },
      ];
      const told = (await checkClocks(connection, strange)).map(({ ok, text }) => `${ok} ${text}`);
      assert.equal(told.length, 2);
      assert.match(
        told[0] ?? "",
        /^false the clock of fast is 3\d{3} s ahead of that of Redis: synchronise both with NTP/,
      );
      assert.match(
        told[1] ?? "",
        /^false the clock of slow is 3\d{3} s behind that of Redis: synchronise both with NTP/,
      );
      connection.close();
    } finally {
      await redis.stop();
    }
  });

  it("tells a clock of this machine that is wrong", () => {
    const [ahead] = judgeClocks([{ host: "here", aheadMs: 7200 }]);
    assert.match(ahead?.text ?? "", /^the clock of here is 7 s ahead of that of Redis: /);
    const [behind] = judgeClocks([{ host: "here", aheadMs: -60_000 }]);
    assert.deepEqual([behind?.ok, behind?.text.slice(0, 32)], [false, "the clock of here is 60 s behind"]);
    assert.equal(judgeClocks([{ host: "here", aheadMs: -4999 }])[0]?.ok, true);
  });

  it("knows the supported versions of Node", () => {
    for (const version of ["22.19.0", "24.21.0", "25.1.0"]) assert.ok(checkNode(version).ok, version);
    for (const version of ["18.0.0", "20.20.2", "22.18.9", "23.0.0", "26.0.0"])
      assert.ok(!checkNode(version).ok, version);
  });

  it("judges Redis by its version, eviction policy and persistence", () => {
    assert.deepEqual(judge("redis_version:7.2.4 maxmemory_policy:noeviction aof_enabled:1"), []);
    const [valkey] = judgeRedis("redis_version:7.2.4\r\nvalkey_version:8.1.1\r\naof_enabled:1");
    assert.deepEqual(valkey, { ok: true, about: "redis", text: "Valkey 8.1.1" });
    const [version, policy, persistence] = judge(
      "redis_version:6.0.16 maxmemory_policy:allkeys-lru aof_enabled:0",
    );
    assert.match(version ?? "", /^Redis 6\.0\.16 is too old: Redis 7\.0 or later/);
    assert.match(policy ?? "", /allkeys-lru/);
    assert.match(persistence ?? "", /appendonly/);
    const [replica, disk, memory] = judge(
      "redis_version:7.0.0 aof_enabled:1 role:slave aof_last_write_status:err used_memory:95 maxmemory:100",
    );
    assert.match(replica ?? "", /^it is a replica/);
    assert.match(disk ?? "", /^it cannot write to its disk/);
    assert.match(memory ?? "", /^its memory is nearly full/);
    assert.deepEqual(judge("redis_version:7.0.0 aof_enabled:1 role:master used_memory:95 maxmemory:0"), []);
  });

  it("looks at the nearest folder that is there", () => {
    assert.ok(checkFolder("state folder", join(cwd, "a/b/c")).ok);
    writeFileSync(join(cwd, "file"), "", { mode: 0o777 });
    assert.ok(!checkFolder("state folder", join(cwd, "file/a")).ok);
  });
});

describe("localUrl", () => {
  it("is one that can be reached from this machine", () => {
    assert.equal(localUrl("0.0.0.0", 1), "http://127.0.0.1:1");
    assert.equal(localUrl("::", 1), "http://[::1]:1");
    assert.equal(localUrl("fd00::2", 1), "http://[fd00::2]:1");
    assert.equal(localUrl("gw.local", 1), "http://gw.local:1");
  });
});
