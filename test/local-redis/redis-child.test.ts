import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { acquireLock } from "../../src/local-redis/lock.ts";
import { startRedis } from "../../src/local-redis/redis-child.ts";
import type { RedisChild, RedisChildOptions } from "../../src/local-redis/redis-child.ts";
import { sendCommand } from "../../src/local-redis/redis-probe.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { takenPort } from "../rig/taken-port.ts";

const MODULE = join(import.meta.dirname, "../../src/local-redis/redis-child.ts");

function pathOf({ url }: RedisChild): string {
  return url.slice("unix://".length);
}

describe("a redis child", () => {
  let dir = "";
  const children: RedisChild[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "sgnet-redis-"));
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => child.stop()));
    rmSync(dir, { recursive: true, force: true });
  });

  async function start(options: Partial<RedisChildOptions> = {}): Promise<RedisChild> {
    const child = await startRedis({ dir, ...options });
    children.push(child);
    return child;
  }

  it("answers on a private unix socket, and is gone after stop", async () => {
    const child = await start();
    assert.equal(child.url, `unix://${dir}/redis.sock`);
    assert.equal(await sendCommand(pathOf(child), "PING"), "+PONG");
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.equal(statSync(pathOf(child)).mode & 0o077, 0);
    await child.stop();
    await child.stop();
    assert.equal(await sendCommand(pathOf(child), "PING"), undefined);
    assert.throws(() => process.kill(child.pid, 0), { code: "ESRCH" });
  });

  it("keeps its data over a stop, and over a kill", async () => {
    const first = await start();
    assert.equal(await sendCommand(pathOf(first), "SET stopped yes"), "+OK");
    await first.stop();
    const second = await start();
    assert.equal(await sendCommand(pathOf(second), "SET killed yes"), "+OK");
    process.kill(second.pid, "SIGKILL");
    await second.exited;
    const third = await start();
    assert.equal(await sendCommand(pathOf(third), "EXISTS stopped killed"), ":2");
  });

  it("writes nothing to disk when it shall not", async () => {
    const child = await start({ persistent: false });
    assert.equal(await sendCommand(pathOf(child), "SET a b"), "+OK");
    await child.stop();
    assert.deepEqual(readdirSync(dir), []);
  });

  it("listens on a TCP port when asked, and again on the same one", async () => {
    const first = await start({ port: 0 });
    const port = Number(new URL(first.url).port);
    await first.stop();
    const second = await start({ port });
    assert.equal(second.url, first.url);
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(void socket.destroy()));
      socket.once("error", reject);
    });
  });

  it("says in one sentence that its port is taken", async (t) => {
    const port = await takenPort(t);
    await assert.rejects(start({ port }), /^Error: Redis ended while it started: .*port/);
  });

  it("refuses a folder that another living process owns", async () => {
    await start();
    await assert.rejects(startRedis({ dir }), {
      message: `The folder ${dir} is in use by another sgnet that runs.`,
    });
  });

  it("shuts down the orphan of a killed owner first and says so", async () => {
    const script = `const { startRedis } = await import(${JSON.stringify(MODULE)});
      const { pid } = await startRedis({ dir: ${JSON.stringify(dir)} });
      console.log(pid);`;
    const owner = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<number>((resolve) =>
      owner.stdout.once("data", (data) => resolve(Number(data))),
    );
    owner.kill("SIGKILL");
    await new Promise((resolve) => owner.once("exit", resolve));
    assert.equal(await sendCommand(join(dir, "redis.sock"), "PING"), "+PONG");
    const lines: string[] = [];
    const log = openLog({ level: "warn", format: "json", write: (line) => lines.push(line) });
    const child = await start({ log });
    assert.notEqual(child.pid, pid);
    assert.match(lines.join(""), /orphaned redis was shut down/);
  });

  it("uses a short socket path when the folder's own is too long", async () => {
    const deep = join(dir, "d".repeat(100));
    const child = await start({ dir: deep });
    const folder = dirname(pathOf(child));
    assert.notEqual(folder, deep);
    assert.ok(existsSync(join(deep, "appendonlydir")));
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    await assert.rejects(startRedis({ dir: deep }), /in use by another sgnet/);
    await child.stop();
    rmSync(folder, { recursive: true });
  });

  it("says what Redis said when it does not start", async () => {
    const first = await start();
    await sendCommand(pathOf(first), "SET a b");
    await first.stop();
    const folder = join(dir, "appendonlydir");
    const manifest = readdirSync(folder).find((file) => file.endsWith(".manifest"));
    assert.ok(manifest !== undefined && readFileSync(join(folder, manifest)).length > 0);
    writeFileSync(join(folder, manifest), "nonsense\n");
    await assert.rejects(start(), /^Error: Redis ended while it started: ./);
  });
});

describe("a lock", () => {
  it("is held once, and free again after its release", async () => {
    const dir = mkdtempSync(join(tmpdir(), "sgnet-lock-"));
    const path = join(dir, "owner.sock");
    const first = await acquireLock(path);
    assert.ok(first);
    assert.equal(await acquireLock(path), undefined);
    first.release();
    const again = await acquireLock(path);
    assert.ok(again);
    again.release();
    rmSync(dir, { recursive: true });
  });
});
