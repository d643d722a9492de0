import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startRedis } from "../../src/admin/redis-child.ts";
import type { RedisChild } from "../../src/admin/redis-child.ts";
import { runLoad } from "../../src/commands/bench-load.ts";
import { BenchTarget } from "../../src/commands/bench-target.ts";
import { startStandIn } from "../stand-in.ts";
import type { StandIn } from "../stand-in.ts";
import { eventually, newFolder, runCommand, startCommand } from "./command.ts";
import type { Command } from "./command.ts";

interface Report {
  readonly model: string;
  readonly answered: number;
  readonly errors: Record<string, number>;
  readonly completionTokens?: number;
  readonly first: { readonly count: number; readonly p50: number };
  readonly gap: { readonly count: number; readonly p50: number };
  readonly total: { readonly count: number };
}

describe("sgnet bench", () => {
  const folder = newFolder();
  const commands: Command[] = [];
  let redis: RedisChild;
  let standIn: StandIn;
  let url: string;
  let env: Readonly<Record<string, string>>;

  before(async () => {
    redis = await startRedis({ dir: join(folder.path, "redis"), persistent: false });
    standIn = await startStandIn();
    env = { REDIS_URL: redis.url, SGNET_API_KEY: "k1", SGNET_LOG_FORMAT: "json" };
    commands.push(startCommand(["worker", "--backends", standIn.url], { cwd: folder.path, env }));
    const gateway = startCommand(["gateway", "--port", "0"], { cwd: folder.path, env });
    commands.push(gateway);
    url = `http://127.0.0.1:${await gateway.see(/"port":(\d+)/)}`;
    const headers = { authorization: "Bearer k1" };
    await eventually(async () => {
      const models = await (await fetch(`${url}/v1/models`, { headers })).text();
      return models.includes("tiny") ? true : undefined;
    });
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

  async function bench(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return runCommand(["bench", url, ...args], { cwd: folder.path, env });
  }

  async function benchOne(given: string): ReturnType<typeof runCommand> {
    return runCommand(["bench", given, "--requests", "1", "--model", "tiny"], { cwd: folder.path, env });
  }

  it("measures streams of a gateway through both APIs, with real token counts", async () => {
    standIn.behaviour.tokenMs = 100;
    for (const dialect of ["ollama", "openai"]) {
      const { code, stdout, stderr } = await bench(
        "--dialect",
        dialect,
        "--requests",
        "6",
        "--tokens",
        "10",
        "--json",
      );
      assert.equal(code, 0, stderr);
      const report = JSON.parse(stdout) as Report;
      assert.match(report.model, /^tiny/);
      assert.equal(report.answered, 6);
      assert.deepEqual(report.errors, {});
      assert.equal(report.completionTokens, 60);
      assert.deepEqual([report.first.count, report.total.count], [6, 6]);
      assert.ok(report.gap.count > 0 && report.gap.p50 >= 30_000, JSON.stringify(report.gap));
    }
    standIn.behaviour.tokenMs = 0;
  });

  it("prints a table for people, of whole answers too", async () => {
    const { code, stdout } = await bench("--whole", "--clients", "2", "--requests", "4", "--model", "tiny");
    assert.equal(code, 0);
    assert.match(stdout, /whole answers of tiny, 2 clients/);
    assert.match(stdout, /answered +4 of 4 in/);
    assert.match(stdout, /tokens per second +[\d.]+\n/);
    assert.doesNotMatch(stdout, /first token/);
  });

  it("asks for a key where one is wanted", async () => {
    const keyless = { cwd: folder.path, env: { ...env, SGNET_API_KEY: "" } };
    const { code, stderr } = await runCommand(["bench", url, "--requests", "1"], keyless);
    assert.equal(code, 1);
    assert.match(stderr, /answers \/api\/tags with 401: it wants a key, --api-key or SGNET_API_KEY\.$/m);
  });

  it("counts what failed by its code, and tells by its own", async () => {
    const { code, stdout } = await bench("--model", "nobody-has-it", "--requests", "3", "--clients", "1");
    assert.equal(code, 1);
    assert.match(stdout, /answered +0 of 3/);
    assert.match(stdout, /failed +3 model_not_found/);
  });

  it("says what is wrong with its flags", async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [["--dialect", "latin"], /--dialect is ollama or openai, not latin/],
      [["--clients", "0"], /--clients takes a whole number above 0, not 0/],
    ];
    for (const [args, message] of wrong) {
      const { code, stderr } = await bench(...args);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });

  it("takes a URL with the path of an API, and says what else of one it cannot use", async () => {
    for (const path of ["/v1", "/api/"]) {
      const { code, stderr } = await benchOne(url + path);
      assert.equal(code, 0, stderr);
    }
    for (const rest of ["/proxy", "/proxy/v1", "/v1/models", "/?a=b"]) {
      const { code, stderr } = await benchOne(url + rest);
      assert.equal(code, 1, rest);
      assert.ok(
        stderr.includes(`${url + rest} has a path or a query that cannot be used: write ${url}.`),
        stderr,
      );
    }
    const { code, stderr } = await benchOne(url.replace("//", "//me:hidden@"));
    assert.equal(code, 1);
    assert.match(stderr, /must not name a user: write http:\/\/host:port/);
    assert.doesNotMatch(stderr, /hidden/);
  });
});

it("an answer that breaks off is a failure, not a short answer", async () => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end('{"model":"m","message":{"role":"assistant","content":"half"},"done":false}\n');
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const target = new BenchTarget({ url, dialect: "ollama", key: "", connections: 1 });
  const load = { model: "m", stream: true, clients: 1, requests: 2, prompt: "x", maxTokens: 1 };
  const figures = await runLoad(target, load);
  target.close();
  server.close();
  assert.deepEqual([figures.answered, figures.errors], [0, { backend_lost: 2 }]);
});

it("a server of something else lists no model, and is not taken for one", async () => {
  const server = createServer((_request, response) => response.end("<html>hello</html>"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const target = new BenchTarget({ url, dialect: "ollama", key: "", connections: 1 });
  try {
    await assert.rejects(target.firstModel(), /lists no model: name one with --model/);
  } finally {
    target.close();
    server.close();
  }
});
