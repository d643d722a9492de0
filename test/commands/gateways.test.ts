import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { supervisedEnvironment } from "../../src/config/environment.ts";
import { processCount } from "../../src/commands/process-count.ts";
import type { FleetStatus } from "../../src/redis/inspect/fleet-reader.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import type { StandIn } from "../rig/backends/stand-in.ts";
import { isAlive, newFolder, runCommand, startCommand } from "../rig/command.ts";
import type { Command } from "../rig/command.ts";
import { until } from "../rig/until.ts";
import { takenPort } from "../rig/taken-port.ts";
import { EPHEMERAL, RedisServer } from "../rig/redis/redis-server.ts";

const PROMPT = { model: "tiny", messages: [{ role: "user", content: "go" }], stream: false };
const LINUX = { skip: process.platform === "linux" ? false : "processes share a port on Linux only" };

/** Status of an answer on a connection of its own; 0 when there is none. */
async function chat(url: string): Promise<number> {
  const headers = { connection: "close" };
  const request = { method: "POST", body: JSON.stringify(PROMPT), headers };
  const response = await fetch(`${url}/v1/chat/completions`, request).catch(() => undefined);
  await response?.text();
  return response?.status ?? 0;
}

/** Tasks opened by each gateway process, as one scrape of the port tells. */
async function opened(url: string): Promise<ReadonlyMap<string, number>> {
  const page = await (await fetch(`${url}/metrics`, { headers: { connection: "close" } })).text();
  const samples = page.matchAll(/^sgnet_tasks_opened_total\{.*gateway="(g\w+)".*\} (\d+)$/gm);
  return new Map(Array.from(samples, ([, tag = "", count]) => [tag, Number(count)]));
}

describe("several gateway processes on one port", LINUX, () => {
  const folder = newFolder();
  const commands: Command[] = [];
  let redis: RedisServer;
  let standIn: StandIn;
  let env: Readonly<Record<string, string>>;

  before(async () => {
    redis = await RedisServer.start({ dir: join(folder.path, "redis"), args: EPHEMERAL });
    standIn = await startStandIn();
    env = { REDIS_URL: redis.socketUrl };
    start("worker", "--backends", standIn.url);
  });
  after(async () => {
    for (const { child, ended } of commands) {
      child.kill("SIGKILL");
      await ended;
    }
    await standIn.stop();
    await redis.stop();
    folder.remove();
  });

  function start(...args: string[]): Command {
    const command = startCommand(args, { cwd: folder.path, env });
    commands.push(command);
    return command;
  }

  async function status(): Promise<FleetStatus> {
    const { stdout } = await runCommand(["status", "--json"], { cwd: folder.path, env });
    return JSON.parse(stdout) as FleetStatus;
  }

  it("share the connections, are counted once, are started again, and finish what they have when stopped", async () => {
    const command = start("gateway", "--processes", "3", "--port", "0");
    const port = await command.see(/gateways are ready.*?port\W+(\d+)/);
    const url = `http://127.0.0.1:${port}`;
    await until("an answer", async () => (await chat(url)) === 200);
    for (let count = 0; count < 59; count += 1) assert.equal(await chat(url), 200);
    const { gateways } = await status();
    assert.deepEqual([...new Set(gateways.map((gateway) => gateway.port))], [Number(port)]);
    const counts = await until("the counts of 60 requests", async () => {
      const found = await opened(url);
      const sum = [...found.values()].reduce((a, b) => a + b, 0);
      return sum >= 60 ? found : undefined;
    });
    assert.deepEqual([...counts.keys()].toSorted(), gateways.map(({ tag }) => tag).toSorted());
    assert.equal(counts.size, 3, "each has taken some");

    const [victim] = gateways;
    process.kill(victim?.pid ?? 0, "SIGKILL");
    const again = await until("three gateways", async () => {
      const now = (await status()).gateways.filter(({ pid }) => isAlive(pid));
      return now.length === 3 ? now : undefined;
    });
    assert.ok(again.every((gateway) => gateway.port === Number(port)));
    assert.equal(await chat(url), 200);

    standIn.behaviour.tokenMs = 100;
    let begun = 0;
    standIn.events.on("request", () => (begun += 1));
    const running = [chat(url), chat(url), chat(url), chat(url)];
    await until("four requests", () => begun === 4);
    command.child.kill("SIGTERM");
    assert.deepEqual(await Promise.all(running), [200, 200, 200, 200]);
    assert.equal(await command.ended, 0);
    assert.deepEqual(
      again.filter(({ pid }) => isAlive(pid)),
      [],
    );
    assert.equal(await chat(url), 0);
  });

  it("say why they cannot start, once, and leave nothing running", async (t) => {
    const taken = String(await takenPort(t));
    const options = { cwd: folder.path, env };
    const refused = await runCommand(["gateway", "--processes", "2", "--port", taken], options);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Port \d+ of 127\.0\.0\.1 is taken/);
    const lost = { cwd: folder.path, env: { REDIS_URL: "redis://127.0.0.1:1" } };
    const alone = await runCommand(["gateway", "--processes", "2", "--port", "0"], lost);
    assert.equal(alone.code, 1);
    assert.equal(alone.stderr.match(/There is no Redis/g)?.length, 1);
  });
});

describe("one of several gateway processes on a port", LINUX, () => {
  it("ends when the port is no longer to be had", async (t) => {
    const folder = newFolder();
    const redis = await RedisServer.start({ dir: join(folder.path, "redis"), args: EPHEMERAL });
    const port = String(await takenPort(t));
    const env = { ...supervisedEnvironment(), REDIS_URL: redis.socketUrl };
    const { child, ended } = startCommand(["gateway", "--processes", "2", "--port", port], {
      cwd: folder.path,
      env,
    });
    try {
      assert.equal(await until("the end of the command", () => child.exitCode), 1);
    } finally {
      child.kill("SIGKILL");
      await ended;
      await redis.stop();
      folder.remove();
    }
  });
});

describe("the number of gateway processes", LINUX, () => {
  it("is as told, or follows the processors where they can share a port", () => {
    assert.equal(processCount("7", 0.5), 7);
    const auto = availableParallelism();
    assert.equal(processCount("auto"), auto);
    assert.equal(processCount("auto", 1e-9), 1);
  });
});
