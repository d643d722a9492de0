import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { sendCommand, shutDown } from "../../src/local-redis/redis-probe.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import type { FleetStatus } from "../../src/redis/inspect/fleet-reader.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import type { StandIn } from "../rig/backends/stand-in.ts";
import { isAlive, newFolder, runCommand, startCommand } from "../rig/command.ts";
import type { Command } from "../rig/command.ts";
import { until } from "../rig/until.ts";
import { takenPort } from "../rig/taken-port.ts";

const LINUX = { skip: process.platform === "linux" ? false : "processes share a port on Linux only" };
const PROMPT = { model: "tiny", messages: [{ role: "user", content: "go" }], stream: false };

/** The URL of a gateway that has a model. */
function urlOf(command: Command): Promise<string> {
  return command.see(/curl (http:\S+)\/v1\/models/);
}

/** The pid of the process that started last. Killed processes stay announced for a while. */
function newestPid(processes: readonly { readonly startedAt: number; readonly pid: number }[]): number {
  return processes.toSorted((a, b) => b.startedAt - a.startedAt)[0]?.pid ?? 0;
}

/** Status of an answer, once it is complete. */
async function chat(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify(PROMPT),
  });
  await response.text();
  return response.status;
}

describe("sgnet up", () => {
  let folder: ReturnType<typeof newFolder>;
  let standIn: StandIn;
  const commands: Command[] = [];
  const socket = (): string => join(folder.path, ".sgnet/redis/redis.sock");

  beforeEach(async () => {
    folder = newFolder();
    standIn = await startStandIn();
  });
  afterEach(async () => {
    for (const { child, ended } of commands.splice(0)) {
      child.kill("SIGKILL");
      await ended;
    }
    await shutDown(socket());
    await standIn.stop();
    folder.remove();
  });

  function up(...args: string[]): Command {
    const command = startCommand(["up", "--port", "0", "--backends", standIn.url, ...args], {
      cwd: folder.path,
    });
    commands.push(command);
    return command;
  }

  async function status(): Promise<FleetStatus> {
    const { stdout } = await runCommand(["status", "--json"], { cwd: folder.path });
    return JSON.parse(stdout) as FleetStatus;
  }

  async function pids(): Promise<Record<"gateway" | "worker" | "redis", number>> {
    const { gateways, workers } = await status();
    const connection = await connect(`unix://${socket()}`, "test");
    const info = String(await connection.command("INFO", "server"));
    connection.close();
    const redis = Number(/process_id:(\d+)/.exec(info)?.[1]);
    return { gateway: newestPid(gateways), worker: newestPid(workers), redis };
  }

  it("runs all of it, says how to use it, and ends all of it on Ctrl-C", async () => {
    const command = up();
    const url = await urlOf(command);
    assert.equal(await chat(url), 200);
    assert.match(command.stdout(), /curl http:\S+\/api\/chat -d '\{"model":"tiny/);
    const running = Object.values(await pids());
    assert.ok(running.every(isAlive));
    command.child.kill("SIGINT");
    assert.equal(await command.ended, 0);
    assert.deepEqual(running.filter(isAlive), []);
    await assert.rejects(fetch(url));
  });

  it("finds its models with a key where one is needed, and does not show it", async () => {
    const command = up("--api-key", "hunter2,k2");
    const url = await urlOf(command);
    assert.equal(await chat(url), 401);
    assert.match(command.stdout(), /-H "authorization: Bearer \$SGNET_API_KEY"/);
    assert.doesNotMatch(command.stdout(), /hunter2|k2/);
  });

  it("starts again what ends by itself, at the same address", async () => {
    const command = up();
    const url = await urlOf(command);
    const before = await pids();
    for (const pid of Object.values(before)) process.kill(pid, "SIGKILL");
    const answered = await until("an answer", async () => {
      const code = await chat(url).catch(() => 0);
      return code === 200 ? code : undefined;
    });
    assert.equal(answered, 200);
    const after = await until("another gateway and worker", async () => {
      const now = await pids();
      return now.gateway !== before.gateway && now.worker !== before.worker ? now : undefined;
    });
    assert.notEqual(after.redis, before.redis);
    command.child.kill("SIGTERM");
    assert.equal(await command.ended, 0);
    assert.deepEqual(Object.values(after).filter(isAlive), []);
  });

  it("stops all its gateways at once: while one drains no other takes requests", LINUX, async () => {
    const command = up("--processes", "2", "--drain-grace-ms", "5000", "--log-format", "json");
    await urlOf(command);
    command.child.kill("SIGTERM");
    assert.equal(await command.ended, 0);
    const lines = `${command.stdout()}\n${command.stderr()}`.split("\n");
    const ends = lines
      .filter((line) => line.includes('"process":"gateway"'))
      .flatMap((line) => /"(stopping|stopped)"/.exec(line)?.[1] ?? []);
    assert.deepEqual(ends, ["stopping", "stopping", "stopped", "stopped"]);
  });

  it("lets a running request finish on Ctrl-C", async () => {
    standIn.behaviour.tokenMs = 100;
    const command = up();
    const url = await urlOf(command);
    const answer = chat(url);
    await standIn.waitFor("token");
    command.child.kill("SIGINT");
    assert.equal(await answer, 200);
    assert.equal(await command.ended, 0);
  });

  it("ends everything at once on the second Ctrl-C", async () => {
    standIn.behaviour.hangAfter = 1;
    const command = up();
    const url = await urlOf(command);
    const running = Object.values(await pids());
    const answer = chat(url).catch(() => 0);
    await standIn.waitFor("token");
    command.child.kill("SIGINT");
    await command.see(/Stopping/);
    command.child.kill("SIGINT");
    assert.equal(await command.ended, 1);
    await until("the end of all processes", () => !running.some(isAlive));
    assert.notEqual(await answer, 200);
  });

  it("takes its gateway and worker along when it is killed, and clears up at the next start", async () => {
    const command = up();
    await urlOf(command);
    const { gateway, worker, redis } = await pids();
    command.child.kill("SIGKILL");
    await until("the end of both", () => !isAlive(gateway) && !isAlive(worker));
    assert.ok(isAlive(redis));
    const next = up();
    await urlOf(next);
    assert.match(next.stderr(), /orphaned redis was shut down/);
    assert.notEqual((await pids()).redis, redis);
    next.child.kill("SIGINT");
    assert.equal(await next.ended, 0);
  });

  it("refuses a state folder that another one uses", async () => {
    await urlOf(up());
    const second = up();
    assert.equal(await second.ended, 1);
    assert.match(second.stderr(), /^The folder \S+ is in use by another sgnet that runs\.\n$/);
  });

  it("says that its port is taken, and leaves nothing running", async (t) => {
    const taken = String(await takenPort(t));
    const command = startCommand(["up", "--port", taken], { cwd: folder.path });
    assert.equal(await command.ended, 1);
    assert.match(
      command.stderr(),
      /^Port \d+ of 127\.0\.0\.1 is taken: choose another with --port, or PORT\.\n$/,
    );
    assert.equal(await sendCommand(socket(), "PING"), undefined);
  });

  it("says that there is no redis-server, and leaves nothing running", async () => {
    const command = startCommand(["up", "--port", "0"], { cwd: folder.path, env: { PATH: folder.path } });
    assert.equal(await command.ended, 1);
    assert.match(command.stderr(), /^There is no redis-server on PATH: .*\n$/);
  });

  it("passes on in one sentence why a process cannot start, and leaves nothing running", async () => {
    const command = startCommand(["up", "--port", "0", "--backends", "ftp://x"], { cwd: folder.path });
    assert.equal(await command.ended, 1);
    const sentences = command
      .stderr()
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("{"));
    assert.deepEqual(sentences.length, 1);
    assert.match(sentences[0] ?? "", /^The backend ftp:\/\/x is not a URL/);
    assert.equal(await sendCommand(socket(), "PING"), undefined);
  });
});
